// RUN: rshard-opt %s --split-input-file --verify-diagnostics --convert-rshard-to-cuda

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

// expected-error @below {{holds no rshard.buffer @comp.x vs a module of the scheduled phase}}
module {
  rshard.buffer @other rows "comp" : memref<?x16xbf16>
}

// -----

rshard.buffer @comp.x rows "comp" : memref<?x16xbf16>
func.func private @mixes(%layer: index, %x: tensor<?x2x8xbf16>) -> tensor<?x2x8xbf16> {
  // expected-error @below {{'rshard.attention' op has no kernel}}
  %y = rshard.attention %x, %x, %x mask <causal> scale 1.0 : tensor<?x2x8xbf16>, tensor<?x2x8xbf16>
  return %y : tensor<?x2x8xbf16>
}
func.func @step(%frame: !rshard.frame) {
  %layer = arith.constant 0 : index
  %x = rshard.get_buffer %frame[@comp.x] : memref<?x16xbf16>
  rshard.launch @mixes layer %layer of %frame ins(%x) outs(%x) : (memref<?x16xbf16>) -> (memref<?x16xbf16>)
  return
}

// -----

// A row is normalised in the registers of one block.
rshard.weight @w "w" : tensor<32776xf32>
rshard.buffer @comp.x rows "comp" : memref<?x32776xbf16>
func.func private @wide(%layer: index, %x: tensor<?x32776xbf16>) -> tensor<?x32776xbf16> {
  %w = rshard.parameter @w : tensor<32776xf32>
  // expected-error @below {{'rshard.norm' op normalises 32776 elements at once vs at most 32768, which the registers of a block hold}}
  %y = rshard.norm rms %x, %w eps 1.0e-05 : tensor<?x32776xbf16>, tensor<32776xf32>
  return %y : tensor<?x32776xbf16>
}

// -----

// Segments compute layer numbers, not positions.
rshard.rotary @rope [1.0, 0.9, 0.8, 0.7] scale 1.0
rshard.buffer @rotary.rope rows "positions" : memref<?x8xf32>
rshard.buffer @comp.x rows "comp" : memref<?x16xbf16>
rshard.table @comp.position
func.func private @moved(%layer: index, %x: tensor<?x2x8xbf16>, %p: tensor<?xi32>) -> tensor<?x2x8xbf16> {
  // expected-error @below {{'arith.addi' op has no kernel}}
  %twice = arith.addi %p, %p : tensor<?xi32>
  %y = rshard.rope %x at %twice by @rope : tensor<?x2x8xbf16>, tensor<?xi32>
  return %y : tensor<?x2x8xbf16>
}
func.func @step(%frame: !rshard.frame) {
  %layer = arith.constant 0 : index
  %x = rshard.get_buffer %frame[@comp.x] : memref<?x16xbf16>
  %p = rshard.get_table %frame[@comp.position] : memref<?xi32>
  rshard.launch @moved layer %layer of %frame ins(%x, %p) outs(%x) : (memref<?x16xbf16>, memref<?xi32>) -> (memref<?x16xbf16>)
  return
}

// -----

rshard.table @index
rshard.buffer @comp.x rows "comp" : memref<?x16xbf16>
rshard.buffer @bytes rows "comp" : memref<?x64xi8>
func.func @step(%frame: !rshard.frame) {
  %index = rshard.get_table %frame[@index] : memref<?xi32>
  %bytes = rshard.get_buffer %frame[@bytes] : memref<?x64xi8>
  // expected-error @below {{'rshard.gather' op has no kernel for rows of 'i8' vs 'f32' or 'bf16' or 'f16'}}
  rshard.gather %bytes[%index] into %bytes : memref<?x64xi8>, memref<?xi32>, memref<?x64xi8>
  return
}

// -----

rshard.table @index
rshard.buffer @comp.x rows "comp" : memref<?x16xbf16>
rshard.buffer @rows rows "pool_query" : memref<?x64xf32>
rshard.buffer @lse rows "pool_partial" : memref<?x1xf32>
func.func @step(%frame: !rshard.frame) {
  %index = rshard.get_table %frame[@index] : memref<?xi32>
  %rows = rshard.get_buffer %frame[@rows] : memref<?x64xf32>
  %lse = rshard.get_buffer %frame[@lse] : memref<?x1xf32>
  %first = arith.constant true
  // expected-error @below {{'rshard.attend' op has no kernel for rows of 'f32' vs 'bf16' or 'f16'}}
  rshard.attend %rows[%index], %rows, %rows sees [%index, %index] into %rows, %lse first %first heads 1 scale 0.25
    : memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x1xf32>
  return
}

// -----

rshard.table @index
rshard.buffer @comp.x rows "comp" : memref<?x16xbf16>
rshard.buffer @rows rows "pool_query" : memref<?x60xbf16>
rshard.buffer @lse rows "pool_partial" : memref<?x1xf32>
func.func @step(%frame: !rshard.frame) {
  %index = rshard.get_table %frame[@index] : memref<?xi32>
  %rows = rshard.get_buffer %frame[@rows] : memref<?x60xbf16>
  %lse = rshard.get_buffer %frame[@lse] : memref<?x1xf32>
  %first = arith.constant true
  // expected-error @below {{'rshard.attend' op head size: 60 vs a multiple of 8 up to 256, which cuda code computes with}}
  rshard.attend %rows[%index], %rows, %rows sees [%index, %index] into %rows, %lse first %first heads 1 scale 0.25
    : memref<?x60xbf16>, memref<?xi32>, memref<?x60xbf16>, memref<?x60xbf16>, memref<?xi32>, memref<?xi32>, memref<?x60xbf16>, memref<?x1xf32>
  return
}

// -----

rshard.table @index
rshard.buffer @comp.x rows "comp" : memref<?x16xbf16>
rshard.buffer @rows rows "pool_query" : memref<?x264xbf16>
rshard.buffer @lse rows "pool_partial" : memref<?x1xf32>
func.func @step(%frame: !rshard.frame) {
  %index = rshard.get_table %frame[@index] : memref<?xi32>
  %rows = rshard.get_buffer %frame[@rows] : memref<?x264xbf16>
  %lse = rshard.get_buffer %frame[@lse] : memref<?x1xf32>
  %first = arith.constant true
  // expected-error @below {{'rshard.attend' op head size: 264 vs a multiple of 8 up to 256, which cuda code computes with}}
  rshard.attend %rows[%index], %rows, %rows sees [%index, %index] into %rows, %lse first %first heads 1 scale 0.25
    : memref<?x264xbf16>, memref<?xi32>, memref<?x264xbf16>, memref<?x264xbf16>, memref<?xi32>, memref<?xi32>, memref<?x264xbf16>, memref<?x1xf32>
  return
}

// -----

// Gathered queries lie beside the results, whose buffer must be known.
rshard.buffer @comp.x rows "comp" : memref<?x16xbf16>
func.func @step(%frame: !rshard.frame, %rows: memref<?x64xbf16>, %index: memref<?xi32>, %out: memref<?x64xf32>, %lse: memref<?x1xf32>) {
  %first = arith.constant true
  // expected-error @below {{'rshard.attend' op writes rows of unknown storage vs a buffer of the module or a part of one}}
  rshard.attend %rows[%index], %rows, %rows sees [%index, %index] into %out, %lse first %first heads 1 scale 0.25
    : memref<?x64xbf16>, memref<?xi32>, memref<?x64xbf16>, memref<?x64xbf16>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x1xf32>
  return
}

// -----

rshard.buffer @comp.x rows "comp" : memref<?x16xbf16>
func.func @step(%rows: memref<?x64xbf16>, %index: memref<?xi32>) {
  // expected-error @below {{'rshard.gather' op stands elsewhere vs in a function that takes a !rshard.frame}}
  rshard.gather %rows[%index] into %rows : memref<?x64xbf16>, memref<?xi32>, memref<?x64xbf16>
  return
}
