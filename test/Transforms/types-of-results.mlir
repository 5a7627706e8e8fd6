// RUN: rshard-opt %s --split-input-file --rshard-plan="comp=2 cluster=1 period=2 activations=bf16" | FileCheck %s
// RUN: rshard-opt %s --split-input-file --rshard-plan="comp=2 cluster=1 period=2 activations=bf16" --rshard-partition --rshard-schedule | FileCheck %s --check-prefix=SCHED
// RUN: rshard-opt %s --split-input-file --rshard-plan="comp=2 cluster=1 period=2" | FileCheck %s --check-prefix=F32

// Results are f32: without a linear at the end, a conversion makes them.

// CHECK-LABEL: func.func @hidden(
// CHECK-SAME: -> tensor<?x8xf32>
// CHECK: %[[Y:.*]] = rshard.layers {{.*}} : tensor<?x8xbf16>, tensor<?xi32>
// CHECK: %[[R:.*]] = rshard.convert %[[Y]] : tensor<?x8xbf16> -> tensor<?x8xf32>
// CHECK: return %[[R]] : tensor<?x8xf32>
// SCHED: rshard.buffer @client.wanted rows "wanted" : memref<?x8xbf16>
// SCHED: rshard.buffer @result rows "wanted" : memref<?x8xf32>
// F32-LABEL: func.func @hidden(
// F32-NOT: rshard.convert
func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @hidden(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@layer] [0, 0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}
rshard.weight @w "layers.{}.w" layers [0, 2) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>

// -----

// A model whose rows had types of their own has the plan's: its conversions are gone. A linear that is not only
// returned stays in the plan's type.

// CHECK-LABEL: func.func @mixed(
// CHECK-SAME: -> tensor<?x8xf32>
// CHECK-NOT: rshard.convert
// CHECK: %[[L:.*]] = rshard.linear {{.*}} -> tensor<?x8xbf16>
// CHECK: %[[A:.*]] = rshard.add %[[L]], %[[L]] : tensor<?x8xbf16>
// CHECK: %[[R:.*]] = rshard.convert %[[A]] : tensor<?x8xbf16> -> tensor<?x8xf32>
// CHECK: return %[[R]]
// F32-LABEL: func.func @mixed(
// F32-SAME: -> tensor<?x8xf32>
// F32-NOT: rshard.convert
// F32: rshard.layers {{.*}} : tensor<?x8xf32>, tensor<?xi32>
func.func private @layer(%layer: index, %x: tensor<?x8xf16>, %positions: tensor<?xi32>) -> tensor<?x8xf16> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf16>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}
func.func @mixed(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf16> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %w = rshard.parameter @u : tensor<8x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %c = rshard.convert %x : tensor<?x8xf32> -> tensor<?x8xf16>
  %y = rshard.layers [@layer] [0, 0] (%c, %positions) : tensor<?x8xf16>, tensor<?xi32>
  %l = rshard.linear %y, %w : (tensor<?x8xf16>, tensor<8x8xf32>) -> tensor<?x8xf16>
  %a = rshard.add %l, %l : tensor<?x8xf16>
  return %a : tensor<?x8xf16>
}
rshard.weight @w "layers.{}.w" layers [0, 2) : tensor<8x8xf32>
rshard.weight @u "u" : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
