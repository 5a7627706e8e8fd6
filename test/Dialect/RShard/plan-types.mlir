// RUN: rshard-opt %s | rshard-opt | FileCheck %s
// RUN: rshard-opt %s --mlir-print-op-generic | rshard-opt | FileCheck %s

// Rows of layers, attention and routes have the plan's types.
rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @g queries(@R) keys(@R)
// CHECK: rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) types <activations = bf16, partials = f32> ranks [0, 0, 0]
rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) types <activations = bf16, partials = f32> ranks [0, 0, 0]
// CHECK: rshard.route @enter enter : [tensor<?x64xbf16>]
rshard.route @enter enter : [tensor<?x64xbf16>]
// CHECK: rshard.route @partial0 partial class 0 mask <causal> : [tensor<?x4x16xf32>, tensor<?x4xf32>]
rshard.route @partial0 partial class 0 mask <causal> : [tensor<?x4x16xf32>, tensor<?x4xf32>]
