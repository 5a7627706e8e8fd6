// RUN: rshard-opt %s --split-input-file --verify-diagnostics

func.func @rows(%x: tensor<4x8xf32>) {
  // expected-error @below {{must be f32, bf16 or f16 tensor of two or three dimensions whose first dimension, and no other, is dynamic, but got 'tensor<4x8xf32>'}}
  %y = rshard.add %x, %x : tensor<4x8xf32>
  return
}

// -----

func.func @rows(%x: tensor<?x?xf32>) {
  // expected-error @below {{must be f32, bf16 or f16 tensor of two or three dimensions whose first dimension, and no other, is dynamic, but got 'tensor<?x?xf32>'}}
  %y = rshard.add %x, %x : tensor<?x?xf32>
  return
}

// -----

func.func @rows(%x: tensor<?x0xf32>) {
  // expected-error @below {{but got 'tensor<?x0xf32>'}}
  %y = rshard.add %x, %x : tensor<?x0xf32>
  return
}

// -----

func.func @rows(%x: tensor<?x8xf64>) {
  // expected-error @below {{but got 'tensor<?x8xf64>'}}
  %y = rshard.activation relu %x : tensor<?x8xf64>
  return
}

// -----

func.func @embedding(%ids: tensor<?xi32>, %table: tensor<10x8xf32>) {
  // expected-error @below {{'rshard.embedding' op width of the result: 4 vs 8}}
  %y = rshard.embedding %ids of %table : (tensor<?xi32>, tensor<10x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @embedding(%ids: tensor<?xi64>, %table: tensor<10x8xf32>) {
  // expected-error @below {{operand #0 must be i32 tensor of one dimension whose first dimension, and no other, is dynamic, but got 'tensor<?xi64>'}}
  %y = rshard.embedding %ids of %table : (tensor<?xi64>, tensor<10x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @embedding(%ids: tensor<?xi32>, %table: tensor<?x8xf32>) {
  // expected-error @below {{operand #1 must be static matrix of f32, bf16 or f16, but got 'tensor<?x8xf32>'}}
  %y = rshard.embedding %ids of %table : (tensor<?xi32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @add_row(%x: tensor<?x2x8xf32>, %r: tensor<8xf32>) {
  // expected-error @below {{'rshard.add_row' op size of the row: 8 vs 16}}
  %y = rshard.add_row %x, %r : tensor<?x2x8xf32>, tensor<8xf32>
  return
}

// -----

func.func @norm(%x: tensor<?x2x8xf32>, %s: tensor<16xf32>) {
  // expected-error @below {{'rshard.norm' op size of the scale: 16 vs 8}}
  %y = rshard.norm rms %x, %s eps 1.0e-5 : tensor<?x2x8xf32>, tensor<16xf32>
  return
}

// -----

func.func @norm(%x: tensor<?x8xf32>, %s: tensor<8xf32>, %b: tensor<4xf32>) {
  // expected-error @below {{'rshard.norm' op size of the bias: 4 vs 8}}
  %y = rshard.norm layer %x, %s bias %b eps 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>, tensor<4xf32>
  return
}

// -----

func.func @norm(%x: tensor<?x8xf32>, %s: tensor<8xf32>) {
  // expected-error @below {{'rshard.norm' op eps 0.000000e+00 vs a number from 1e-37 to 1e+37}}
  %y = rshard.norm rms %x, %s eps 0.0 : tensor<?x8xf32>, tensor<8xf32>
  return
}

// -----

func.func @norm(%x: tensor<?x8xf32>, %s: tensor<8xf32>) {
  // expected-error @below {{'batch' vs one of rms, layer}}
  %y = rshard.norm batch %x, %s eps 1.0 : tensor<?x8xf32>, tensor<8xf32>
  return
}

// -----

func.func @linear(%x: tensor<?x8xf32>, %w: tensor<4x16xf32>) {
  // expected-error @below {{'rshard.linear' op columns of the weight: 16 vs 8}}
  %y = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<4x16xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @below {{'rshard.linear' op rows of the weight: 4 vs 8}}
  %y = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<4x8xf32>) -> tensor<?x2x4xf32>
  return
}

// -----

func.func @linear(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>) {
  // expected-error @below {{'rshard.linear' op size of the bias: 8 vs 4}}
  %y = rshard.linear %x, %w bias %b : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @rope(%x: tensor<?x2x8xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.rope' op refers to @r: no rshard.rotary of this name}}
  %y = rshard.rope %x at %p by @r : tensor<?x2x8xf32>, tensor<?xi32>
  return
}

// -----

// expected-note @below {{two for each of the 2 frequencies declared here}}
rshard.rotary @r [1.0, 0.5] scale 1.0
func.func @rope(%x: tensor<?x2x8xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.rope' op head size: 8 vs 4}}
  %y = rshard.rope %x at %p by @r : tensor<?x2x8xf32>, tensor<?xi32>
  return
}

// -----

func.func @activation(%x: tensor<?x8xf32>) {
  // expected-error @below {{'swish' vs one of silu, gelu, gelu_tanh, relu}}
  %y = rshard.activation swish %x : tensor<?x8xf32>
  return
}

// -----

func.func @attention(%q: tensor<?x4x16xf32>, %k: tensor<?x2x8xf32>) {
  // expected-error @below {{'rshard.attention' op head size of the keys: 8 vs 16}}
  %o = rshard.attention %q, %k, %k mask <full> scale 0.25 : tensor<?x4x16xf32>, tensor<?x2x8xf32>
  return
}

// -----

func.func @attention(%q: tensor<?x4x16xf32>, %k: tensor<?x3x16xf32>) {
  // expected-error @below {{'rshard.attention' op query heads: 4 vs a multiple of the 3 key heads}}
  %o = rshard.attention %q, %k, %k mask <full> scale 0.25 : tensor<?x4x16xf32>, tensor<?x3x16xf32>
  return
}

// -----

func.func @attention(%q: tensor<?x4x16xf32>, %k: tensor<?x2x16xf32>) {
  // expected-error @below {{'rshard.attention' op scale -1.000000e+00 vs a number from 1e-37 to 1e+37}}
  %o = rshard.attention %q, %k, %k mask <full> scale -1.0 : tensor<?x4x16xf32>, tensor<?x2x16xf32>
  return
}

// -----

func.func @attention(%q: tensor<?x4x16xf32>, %k: tensor<?x2x16xf32>) {
  // expected-error @below {{'rshard.attention' op soft_cap 0.000000e+00 vs a number from 1e-37 to 1e+37}}
  %o = rshard.attention %q, %k, %k mask <full> scale 1.0 soft_cap 0.0 : tensor<?x4x16xf32>, tensor<?x2x16xf32>
  return
}

// -----

func.func @attention(%q: tensor<?x4x16xf32>, %k: tensor<?x2x16xf32>) {
  // expected-error @below {{'rshard.attention' op refers to @g: no rshard.grid of this name}}
  %o = rshard.attention %q, %k, %k mask <full> scale 1.0 on @g : tensor<?x4x16xf32>, tensor<?x2x16xf32>
  return
}

// -----

func.func @layers(%x: tensor<?x8xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.layers' op layer functions: 0 vs at least 1}}
  %y = "rshard.layers"(%x, %p) {kinds = [], order = array<i32: 0>} : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @layers(%x: tensor<?x8xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.layers' op layers: 0 vs at least 1}}
  %y = "rshard.layers"(%x, %p) {kinds = [@a], order = array<i32>} : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @layers(%x: tensor<?x8xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.layers' op layer 1 is of kind 2 vs less than 1}}
  %y = rshard.layers [@a] [0, 2] (%x, %p) : tensor<?x8xf32>, tensor<?xi32>
  return
}

// -----

func.func @layers(%x: tensor<?x8xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.layers' op refers to @a: no function of this name}}
  %y = rshard.layers [@a] [0] (%x, %p) : tensor<?x8xf32>, tensor<?xi32>
  return
}

// -----

// expected-note @below {{defined here}}
func.func private @a(%l: index, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}
func.func @layers(%x: tensor<?x8xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.layers' op layer @a has type '(index, tensor<?x8xf32>) -> tensor<?x8xf32>' vs '(index, tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>'}}
  %y = rshard.layers [@a] [0] (%x, %p) : tensor<?x8xf32>, tensor<?xi32>
  return
}

// -----

// expected-note @below {{defined here}}
func.func private @a(%l: index, %x: tensor<?x8xf32>, %p: tensor<?xi32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}
func.func @layers(%x: tensor<?x8xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.layers' op layer @a holds 0 token-mixing ops vs 1}}
  %y = rshard.layers [@a] [0] (%x, %p) : tensor<?x8xf32>, tensor<?xi32>
  return
}

// -----

// expected-note @below {{defined here}}
func.func private @a(%l: index, %x: tensor<?x1x8xf32>, %p: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %o = rshard.attention %x, %x, %x mask <full> scale 1.0 : tensor<?x1x8xf32>, tensor<?x1x8xf32>
  // expected-error @below {{'rshard.layers' op layer @a holds layers itself}}
  %y = rshard.layers [@a] [0] (%o, %p) : tensor<?x1x8xf32>, tensor<?xi32>
  return %y : tensor<?x1x8xf32>
}

// -----

rshard.weight @e "e" : tensor<16x8xf32>
// expected-note @below {{defined here}}
func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  cf.br ^next
^next:
  return %x : tensor<?x8xf32>
}
func.func @main(%x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{layer @layer has 2 blocks vs 1}}
  %y = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}

// -----

// expected-note @below {{declared here}}
rshard.weight @w "h.{}.w" layers [0, 1) : tensor<8x8xf32>
func.func private @a(%layer: index, %x: tensor<?x8xf32>, %p: tensor<?xi32>) -> tensor<?x8xf32> {
  // expected-error @below {{'rshard.parameter' op layer 1 vs layers [0, 1) of @w}}
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x1x8xf32>
  %o = rshard.attention %q, %q, %q mask <full> scale 1.0 : tensor<?x1x8xf32>, tensor<?x1x8xf32>
  %y = rshard.linear %o, %w : (tensor<?x1x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @layers(%x: tensor<?x8xf32>, %p: tensor<?xi32>) {
  // expected-note @below {{layers applied here}}
  %y = rshard.layers [@a] [0, 0] (%x, %p) : tensor<?x8xf32>, tensor<?xi32>
  return
}

// -----

func.func @convert(%x: tensor<?x8xbf16>) {
  // expected-error @below {{'rshard.convert' op result 'tensor<?x8xbf16>' vs 'tensor<?x8xbf16>' in another element type}}
  %y = rshard.convert %x : tensor<?x8xbf16> -> tensor<?x8xbf16>
  return
}

// -----

func.func @convert(%x: tensor<?x8xbf16>) {
  // expected-error @below {{'rshard.convert' op result 'tensor<?x4xf32>' vs 'tensor<?x8xbf16>' in another element type}}
  %y = rshard.convert %x : tensor<?x8xbf16> -> tensor<?x4xf32>
  return
}

// -----

func.func @attention(%q: tensor<?x4x16xf32>, %k: tensor<?x2x16xf16>) {
  // expected-error @below {{'rshard.attention' op element of the keys: 'f16' vs 'f32'}}
  %o = rshard.attention %q, %k, %k mask <causal> scale 0.25 : tensor<?x4x16xf32>, tensor<?x2x16xf16>
  return
}

// -----

// A layer reads the weights of its own number.
rshard.weight @w "h.{}.w" layers [0, 2) : tensor<8x8xf32>
func.func private @a(%layer: index, %x: tensor<?x8xf32>, %p: tensor<?xi32>) -> tensor<?x8xf32> {
  %zero = arith.constant 0 : index
  // expected-error @below {{'rshard.parameter' op has another layer vs the first argument of @a}}
  %w = rshard.parameter @w[%zero] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x1x8xf32>
  %o = rshard.attention %q, %q, %q mask <full> scale 1.0 : tensor<?x1x8xf32>, tensor<?x1x8xf32>
  %y = rshard.linear %o, %w : (tensor<?x1x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @layers(%x: tensor<?x8xf32>, %p: tensor<?xi32>) {
  %y = rshard.layers [@a] [0, 0] (%x, %p) : tensor<?x8xf32>, tensor<?xi32>
  return
}

// -----

// A kind of layer is one function: the partitioner cuts every one once.
func.func @layers(%x: tensor<?x8xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.layers' op layer function @a: twice vs once}}
  %y = rshard.layers [@a, @a] [0, 1, 0] (%x, %p) : tensor<?x8xf32>, tensor<?xi32>
  return
}

// -----

func.func @heads(%x: tensor<?x8x16xf32>) {
  // expected-error @below {{'rshard.heads' op heads [6, 9) vs a range within the 8 of the input}}
  %y = rshard.heads %x [6, 9) : tensor<?x8x16xf32> -> tensor<?x3x16xf32>
  return
}

// -----

func.func @heads(%x: tensor<?x8x16xf32>) {
  // expected-error @below {{'rshard.heads' op heads [6, 6) vs a range within the 8 of the input}}
  %y = rshard.heads %x [6, 6) : tensor<?x8x16xf32> -> tensor<?x1x16xf32>
  return
}

// -----

func.func @heads(%x: tensor<?x8x16xf32>) {
  // expected-error @below {{'rshard.heads' op result 'tensor<?x2x16xf16>' vs 'tensor<?x2x16xf32>'}}
  %y = rshard.heads %x [6, 8) : tensor<?x8x16xf32> -> tensor<?x2x16xf16>
  return
}

// -----

// A second layer could not take what the first returns.
func.func private @a(%layer: index, %x: tensor<?x2x8xf32>, %p: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %q = rshard.heads %x [0, 1) : tensor<?x2x8xf32> -> tensor<?x1x8xf32>
  %o = rshard.attention %q, %q, %q mask <full> scale 1.0 : tensor<?x1x8xf32>, tensor<?x1x8xf32>
  return %o : tensor<?x1x8xf32>
}
func.func @layers(%x: tensor<?x2x8xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.layers' op returns 'tensor<?x1x8xf32>' vs 'tensor<?x2x8xf32>', which the next of 2 layers takes}}
  %y = rshard.layers [@a] [0, 0] (%x, %p) : tensor<?x2x8xf32>, tensor<?xi32> -> tensor<?x1x8xf32>
  return
}

// -----

// Numbers that f32 makes 0 or infinite.
func.func @norm(%x: tensor<?x8xf32>, %s: tensor<8xf32>) {
  // expected-error @below {{'rshard.norm' op eps 1.000000e-50 vs a number from 1e-37 to 1e+37}}
  %y = rshard.norm rms %x, %s eps 1.0e-50 : tensor<?x8xf32>, tensor<8xf32>
  return
}

// -----

func.func @attention(%q: tensor<?x4x16xf32>, %k: tensor<?x2x16xf32>) {
  // expected-error @below {{'rshard.attention' op scale 1.000000e+39 vs a number from 1e-37 to 1e+37}}
  %o = rshard.attention %q, %k, %k mask <full> scale 1.0e39 : tensor<?x4x16xf32>, tensor<?x2x16xf32>
  return
}

// -----

func.func @attention(%q: tensor<?x4x16xf32>, %k: tensor<?x2x16xf32>) {
  // expected-error @below {{'rshard.attention' op soft_cap 1.000000e-50 vs a number from 1e-37 to 1e+37}}
  %o = rshard.attention %q, %k, %k mask <full> scale 1.0 soft_cap 1.0e-50 : tensor<?x4x16xf32>, tensor<?x2x16xf32>
  return
}

// -----

// So it is where only their quotient is.
func.func @attention(%q: tensor<?x4x16xf32>, %k: tensor<?x2x16xf32>) {
  // expected-error @below {{'rshard.attention' op scale over soft_cap 1.000000e+50 vs a number from 1e-37 to 1e+37}}
  %o = rshard.attention %q, %k, %k mask <full> scale 1.0e25 soft_cap 1.0e-25 : tensor<?x4x16xf32>, tensor<?x2x16xf32>
  return
}
