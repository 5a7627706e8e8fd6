// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2 client-first=1" --rshard-partition | FileCheck %s
// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2 client-first=1" --rshard-partition --rshard-schedule | FileCheck %s --check-prefix=SCHEDULE

// Layers with one mask whose scores are capped differently, or not at all, are classes of their own: an AttnNode has
// one text for all layers of a class.
// CHECK: rshard.layer_classes = array<i32: 0, 1, 0>
// CHECK: rshard.route @query0{{.*}}class 0 mask <causal>
// CHECK: rshard.route @query1{{.*}}class 1 mask <causal>
// CHECK-LABEL: func.func @client(
// CHECK: rshard.partial_attention {{.*}} mask <causal> scale 5.000000e-01 soft_cap 3.000000e+01
// CHECK-LABEL: func.func @attn(
// CHECK-DAG: rshard.partial_attention {{.*}} mask <causal> scale 5.000000e-01 soft_cap 3.000000e+01
// CHECK-DAG: rshard.partial_attention {{.*}} mask <causal> scale 5.000000e-01 : tensor

// SCHEDULE-LABEL: func.func @step(
// SCHEDULE: rshard.attend {{.*}} scale 5.000000e-01 soft_cap 3.000000e+01 :
// SCHEDULE-DAG: rshard.attend {{.*}} scale 5.000000e-01 soft_cap 3.000000e+01 :
// SCHEDULE-DAG: rshard.attend {{.*}} scale 5.000000e-01 :

func.func private @capped(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 soft_cap 30.0 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func private @plain(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@capped, @plain] [0, 1, 0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}
rshard.weight @w "layers.{}.w" layers [0, 3) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
