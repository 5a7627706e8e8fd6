// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2" --rshard-partition --rshard-schedule --remarks-filter=".*" -o /dev/null 2>&1 | FileCheck %s
// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2" --rshard-partition --rshard-schedule --convert-rshard-to-cpu=cpu=x86-64-v3 --remarks-filter="segment" -o /dev/null 2>&1 | FileCheck %s --check-prefix=FUSE
// RUN: rshard-opt %s --rshard-plan="comp=1 attn=1x1" --rshard-partition --rshard-schedule --remarks-filter="schedule" -o /dev/null 2>&1 | FileCheck %s --check-prefix=ELIDED
// RUN: rshard-opt %s --rshard-plan="comp=1 attn=1x1 activations=bf16 partials=f32" --rshard-partition --rshard-schedule --remarks-filter="schedule" -o /dev/null 2>&1 | FileCheck %s --check-prefix=WIDE

// What the passes decided, at the op that it is about.
// CHECK-DAG: remarks.mlir:[[#@LINE + 16]]:1: remark: [Analysis] recompute {{.*}}Function=layer{{.*}}Operations=1
// CHECK-DAG: [Passed] segment {{.*}}Function=layer.layer
// CHECK-DAG: [Passed] exchange {{.*}}Function=enter{{.*}}Group=enter
// Queries, keys and values go in one group of messages.
// CHECK-DAG: [Passed] exchange {{.*}}Function=up0{{.*}}Group="query + key + value"
// CHECK-DAG: [Passed] exchange {{.*}}Function=down0{{.*}}Group="partial.o + partial.lse"

// One partial a row is the merged row, unless they are of different types.
// ELIDED: [Passed] elide-merge {{.*}}Function=layer.layer{{.*}}Reason="every row has one partial"
// WIDE: [Missed] elide-merge {{.*}}Function=layer.layer{{.*}}Reason="partials are f32 vs bf16 of the merged rows"

// The output projection takes its residual along.
// FUSE: [Passed] fuse {{.*}}Function=layer.layer{{.*}}Kernel="rshard.linear + rshard.add"

rshard.weight @w "layers.{}.w" layers [0, 2) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %h = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %q = rshard.linear %h, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %z = rshard.add %h, %y : tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@layer] [0, 0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}
