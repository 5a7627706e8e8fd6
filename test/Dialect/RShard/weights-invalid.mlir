// RUN: rshard-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{'rshard.weight' op layers [3, 3): the range must hold a number and start at 0 or later}}
rshard.weight @w "h.{}.w" layers [3, 3) : tensor<4xf32>

// -----

// expected-error @below {{'rshard.weight' op layers [-1, 3): the range must hold a number and start at 0 or later}}
rshard.weight @w "h.{}.w" layers [-1, 3) : tensor<4xf32>

// -----

// expected-error @below {{'rshard.weight' op layers [0, 1, 2): the range must hold a number and start at 0 or later}}
"rshard.weight"() {sym_name = "w", tensor = "h.{}.w", layers = array<i64: 0, 1, 2>, type = tensor<4xf32>} : () -> ()

// -----

// expected-error @below {{'rshard.weight' op rows [4, 2): the range must hold a number and start at 0 or later}}
rshard.weight @w "w" rows [4, 2) of 2 : tensor<4xf32>

// -----

// expected-error @below {{'rshard.weight' op name 'h.{}.w' holds '{}' vs no layers}}
rshard.weight @w "h.{}.w" : tensor<4xf32>

// -----

// expected-error @below {{'rshard.weight' op name 'h.0.w' holds no '{}' vs layers}}
rshard.weight @w "h.0.w" layers [0, 3) : tensor<4xf32>

// -----

// expected-error @below {{attribute 'type' failed to satisfy constraint: type attribute of static matrix of f32, bf16 or f16 or static vector of f32, bf16 or f16}}
rshard.weight @w "w" : tensor<?xf32>

// -----

// expected-error @below {{attribute 'type' failed to satisfy constraint}}
rshard.weight @w "w" : tensor<4x4x4xf32>

// -----

// expected-error @below {{attribute 'type' failed to satisfy constraint}}
rshard.weight @w "w" : tensor<4xi32>

// -----

// expected-error @below {{'rshard.weight' op rows: 2 vs 4 of type 'tensor<4x8xf32>'}}
rshard.weight @w "w" rows [0, 2) of 2 : tensor<4x8xf32>

// -----

// expected-error @below {{'rshard.rotary' op frequencies: 0 vs at least 1}}
"rshard.rotary"() {sym_name = "r", frequencies = array<f64>, scale = 1.0 : f64} : () -> ()

// -----

// expected-error @below {{'rshard.rotary' op frequency -1.000000e+00 vs a number from 0 to 1e+37}}
rshard.rotary @r [1.0, -1.0] scale 1.0

// -----

// expected-error @below {{'rshard.rotary' op frequency INF vs a number from 0 to 1e+37}}
rshard.rotary @r [0x7FF0000000000000] scale 1.0

// -----

// expected-error @below {{'rshard.rotary' op scale 0.000000e+00 vs a number from 1e-37 to 1e+37}}
rshard.rotary @r [1.0] scale 0.0

// -----

// expected-error @below {{'rshard.rotary' op scale nan vs a number from 1e-37 to 1e+37}}
rshard.rotary @r [1.0] scale 0x7FF8000000000000

// -----

func.func @f() {
  // expected-error @below {{'rshard.parameter' op refers to @w: no rshard.weight of this name}}
  %w = rshard.parameter @w : tensor<4xf32>
  return
}

// -----

// expected-note @below {{declared here}}
rshard.weight @w "w" : tensor<4x8xf32>
func.func @f() {
  // expected-error @below {{'rshard.parameter' op type 'tensor<8x4xf32>' vs 'tensor<4x8xf32>'}}
  %w = rshard.parameter @w : tensor<8x4xf32>
  return
}

// -----

// expected-note @below {{declared here}}
rshard.weight @w "w" : tensor<4x8xf32>
func.func @f(%layer: index) {
  // expected-error @below {{'rshard.parameter' op has a layer vs a weight without layers}}
  %w = rshard.parameter @w[%layer] : tensor<4x8xf32>
  return
}

// -----

// expected-note @below {{declared here}}
rshard.weight @w "h.{}.w" layers [0, 3) : tensor<4x8xf32>
func.func @f() {
  // expected-error @below {{'rshard.parameter' op has no layer vs a weight with one tensor per layer}}
  %w = rshard.parameter @w : tensor<4x8xf32>
  return
}

// -----

// expected-error @below {{'rshard.weight' op rows: up to 8 vs the 6 of the tensor}}
rshard.weight @w "w" rows [4, 8) of 6 : tensor<4x8xf32>

// -----

// expected-error @below {{'rshard.weight' op has a range of rows vs no number of them}}
"rshard.weight"() {sym_name = "w", tensor = "w", rows = array<i64: 0, 4>, type = tensor<4x8xf32>} : () -> ()

// -----

// expected-error @below {{'rshard.weight' op transposed: 'tensor<4xf32>' vs a matrix or a single row of one}}
rshard.weight @w "w" transposed : tensor<4xf32>

// -----

// expected-error @below {{'rshard.weight' op transposed: 'tensor<1xf32>' vs a matrix or a single row of one}}
rshard.weight @w "w" rows [0, 1) of 4 transposed : tensor<1xf32>

// -----

// expected-error @below {{'rshard.rotary' op frequency 1.000000e+60 vs a number from 0 to 1e+37}}
rshard.rotary @r [1.0, 1.0e60] scale 1.0
