// RUN: rshard-opt %s --split-input-file --verify-diagnostics --convert-rshard-to-cpu=cpu=x86-64-v3
// RUN: not rshard-opt %s --split-input-file --convert-rshard-to-cpu=cpu=x86-64 2>&1 | FileCheck %s --check-prefix=OLD
// RUN: not rshard-opt %s --split-input-file --convert-rshard-to-cpu=cpu=abacus 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// OLD: error: cpu 'x86-64' has no avx2: x86-64-v3 or newer is needed
// UNKNOWN: error: unknown cpu 'abacus'

// expected-error @below {{holds no rshard.buffer vs a module of the scheduled phase: run --rshard-plan --rshard-partition --rshard-schedule before}}
module {}

// -----

// expected-error @below {{: run --rshard-partition --rshard-schedule before}}
module {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
}

// -----

// expected-error @below {{: run --rshard-schedule before}}
module {
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
}

// -----

rshard.buffer @x rows "comp" : memref<?x16xf32>
func.func private @mixes(%layer: index, %x: tensor<?x2x8xf32>) -> tensor<?x2x8xf32> {
  // expected-error @below {{'rshard.attention' op has no kernel}}
  %y = rshard.attention %x, %x, %x mask <causal> scale 1.0 : tensor<?x2x8xf32>, tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}
func.func @step(%frame: !rshard.frame) {
  %layer = arith.constant 0 : index
  %x = rshard.get_buffer %frame[@x] : memref<?x16xf32>
  rshard.launch @mixes layer %layer of %frame ins(%x) outs(%x) : (memref<?x16xf32>) -> (memref<?x16xf32>)
  return
}

// -----

rshard.rotary @rope [1.0, 0.5] scale 1.0
rshard.table @at
rshard.buffer @x rows "comp" : memref<?x4xf32>
func.func private @turns(%layer: index, %x: tensor<?x1x4xf32>, %at: tensor<?xi32>) -> tensor<?x1x4xf32> {
  // expected-error @below {{needs the table @"rotary.rope", which the schedule has not declared}}
  %y = rshard.rope %x at %at by @rope : tensor<?x1x4xf32>, tensor<?xi32>
  return %y : tensor<?x1x4xf32>
}
func.func @step(%frame: !rshard.frame) {
  %layer = arith.constant 0 : index
  %at = rshard.get_table %frame[@at] : memref<?xi32>
  %x = rshard.get_buffer %frame[@x] : memref<?x4xf32>
  rshard.launch @turns layer %layer of %frame ins(%x, %at) outs(%x) : (memref<?x4xf32>, memref<?xi32>) -> (memref<?x4xf32>)
  return
}

// -----

rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @g queries(@R) keys(@R)
// expected-error @below {{activations are bf16 vs f32, which cpu code computes in}}
rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) types <activations = bf16, partials = f32> ranks [0, 0, 0]

// -----

// expected-error @below {{'rshard.buffer' op holds rows of 'f16' vs f32, which cpu code computes in}}
rshard.buffer @x rows "comp" : memref<?x4xf16>

// -----

// Nothing is allocated in a step: a tile that is larger than a rank's stack
// would end the program.
rshard.table @index
rshard.buffer @rows rows "pool_query" : memref<?x2048xf32>
rshard.buffer @lse rows "pool_partial" : memref<?x1xf32>
func.func @step(%frame: !rshard.frame) {
  %index = rshard.get_table %frame[@index] : memref<?xi32>
  %rows = rshard.get_buffer %frame[@rows] : memref<?x2048xf32>
  %lse = rshard.get_buffer %frame[@lse] : memref<?x1xf32>
  %first = arith.constant true
  // expected-error @below {{'rshard.attend' op heads of 2048 elements need tiles of 1443544 bytes vs at most 983040 on the stack of a step}}
  rshard.attend %rows[%index], %rows, %rows sees [%index, %index] into %rows, %lse first %first heads 1 scale 0.25
    : memref<?x2048xf32>, memref<?xi32>, memref<?x2048xf32>, memref<?x2048xf32>, memref<?xi32>, memref<?xi32>, memref<?x2048xf32>, memref<?x1xf32>
  return
}

// -----

// Gathers move rows of a buffer, not entries of a table.
rshard.table @index
rshard.buffer @ids rows "comp" : memref<?x1xi32>
func.func @step(%frame: !rshard.frame) {
  %index = rshard.get_table %frame[@index] : memref<?xi32>
  %ids = rshard.get_buffer %frame[@ids] : memref<?x1xi32>
  // expected-error @below {{'rshard.gather' op has no kernel for rows of 'i32' vs 'f32'}}
  rshard.gather %ids[%index] into %ids : memref<?x1xi32>, memref<?xi32>, memref<?x1xi32>
  return
}

// -----

rshard.buffer @x rows "comp" : memref<?x8xf32>
func.func private @elsewhere(%layer: index, %x: tensor<?x8xf32>) -> tensor<?x8xf32>
func.func @step(%frame: !rshard.frame) {
  %layer = arith.constant 0 : index
  %x = rshard.get_buffer %frame[@x] : memref<?x8xf32>
  // expected-error @below {{'rshard.launch' op runs @elsewhere, which is no function with a body}}
  rshard.launch @elsewhere layer %layer of %frame ins(%x) outs(%x) : (memref<?x8xf32>) -> (memref<?x8xf32>)
  return
}

// -----

rshard.buffer @x rows "comp" : memref<?x8xf32>
func.func private @unpacked(%layer: index, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = arith.constant dense<1.0> : tensor<8x8xf32>
  // expected-error @below {{'rshard.linear' op takes a weight that is not the result of an rshard.parameter, which code cannot pack}}
  %y = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @step(%frame: !rshard.frame) {
  %layer = arith.constant 0 : index
  %x = rshard.get_buffer %frame[@x] : memref<?x8xf32>
  rshard.launch @unpacked layer %layer of %frame ins(%x) outs(%x) : (memref<?x8xf32>) -> (memref<?x8xf32>)
  return
}

// -----

rshard.table @at
rshard.buffer @other rows "comp" : memref<?x4xf32>
// expected-error @below {{'func.func' op returns an argument that is no tensor of rows}}
func.func private @same(%layer: index, %at: tensor<?xi32>) -> tensor<?xi32> {
  return %at : tensor<?xi32>
}
func.func @step(%frame: !rshard.frame) {
  %layer = arith.constant 0 : index
  %at = rshard.get_table %frame[@at] : memref<?xi32>
  rshard.launch @same layer %layer of %frame ins(%at) outs(%at) : (memref<?xi32>) -> (memref<?xi32>)
  return
}

// -----

rshard.buffer @x rows "comp" : memref<?x8xf32>
func.func private @rounds(%layer: index, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{'rshard.convert' op has no cpu kernel}}
  %y = rshard.convert %x : tensor<?x8xf32> -> tensor<?x8xbf16>
  %z = rshard.convert %y : tensor<?x8xbf16> -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}
func.func @step(%frame: !rshard.frame) {
  %layer = arith.constant 0 : index
  %x = rshard.get_buffer %frame[@x] : memref<?x8xf32>
  rshard.launch @rounds layer %layer of %frame ins(%x) outs(%x) : (memref<?x8xf32>) -> (memref<?x8xf32>)
  return
}

// -----

// Code behind a branch would be left out.
rshard.buffer @x rows "comp" : memref<?x8xf32>
// expected-error @below {{'func.func' op has 2 blocks vs 1: a segment is straight-line code}}
func.func private @branches(%layer: index, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  cf.br ^end
^end:
  %y = rshard.add %x, %x : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @step(%frame: !rshard.frame) {
  %layer = arith.constant 0 : index
  %x = rshard.get_buffer %frame[@x] : memref<?x8xf32>
  rshard.launch @branches layer %layer of %frame ins(%x) outs(%x) : (memref<?x8xf32>) -> (memref<?x8xf32>)
  return
}
