// RUN: rshard-opt %s --rshard-partition | FileCheck %s

// Names of layers may join to the same text; every pair keeps a segment of its own.
// CHECK-DAG: func.func private @a.a.a(
// CHECK-DAG: func.func private @a.a.a_0(
// CHECK-LABEL: func.func @comp(
// CHECK: scf.index_switch
// CHECK: call @a.a.a(
// CHECK: call @a.a.a_0(

rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
rshard.weight @w "layers.{}.w" layers [0, 3) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
func.func private @a(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 on @grid : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func private @a.a(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 on @grid : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@a, @a.a] [0, 1, 0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}
