// RUN: rshard-opt %s | rshard-opt | FileCheck %s
// RUN: rshard-opt %s --mlir-print-op-generic | rshard-opt | FileCheck %s

// Every form of a weight, and the element types that files have.

// CHECK: rshard.weight @plain "a" : tensor<4x8xf32>
rshard.weight @plain "a" : tensor<4x8xf32>
// CHECK: rshard.weight @half "b" : tensor<4x8xf16>
rshard.weight @half "b" : tensor<4x8xf16>
// CHECK: rshard.weight @per_layer "h.{}.w" layers [1, 3) : tensor<4x8xbf16>
rshard.weight @per_layer "h.{}.w" layers [1, 3) : tensor<4x8xbf16>
// CHECK: rshard.weight @slice "a" rows [2, 4) of 4 : tensor<2x8xf32>
rshard.weight @slice "a" rows [2, 4) of 4 : tensor<2x8xf32>
// CHECK: rshard.weight @vector_slice "b" rows [2, 4) of 4 : tensor<2xf32>
rshard.weight @vector_slice "b" rows [2, 4) of 4 : tensor<2xf32>
// CHECK: rshard.weight @row "a" rows [1, 2) of 2 : tensor<8xf32>
rshard.weight @row "a" rows [1, 2) of 2 : tensor<8xf32>
// CHECK: rshard.weight @all "h.{}.w" layers [0, 2) rows [0, 4) of 4 transposed : tensor<4x8xf32>
rshard.weight @all "h.{}.w" layers [0, 2) rows [0, 4) of 4 transposed : tensor<4x8xf32>
// CHECK: rshard.rotary @rope [1.000000e+00, 0.000000e+00] scale 1.250000e+00
rshard.rotary @rope [1.0, 0.0] scale 1.25

// CHECK-LABEL: func.func @use
func.func @use(%layer: index) -> (tensor<4x8xf32>, tensor<8xf32>, tensor<4x8xbf16>) {
  // CHECK: rshard.parameter @plain : tensor<4x8xf32>
  %a = rshard.parameter @plain : tensor<4x8xf32>
  // CHECK: rshard.parameter @row : tensor<8xf32>
  %b = rshard.parameter @row : tensor<8xf32>
  // CHECK: rshard.parameter @per_layer[%{{.*}}] : tensor<4x8xbf16>
  %c = rshard.parameter @per_layer[%layer] : tensor<4x8xbf16>
  return %a, %b, %c : tensor<4x8xf32>, tensor<8xf32>, tensor<4x8xbf16>
}
