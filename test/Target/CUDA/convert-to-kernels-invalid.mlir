// RUN: rshard-opt %s --split-input-file --verify-diagnostics --convert-rshard-to-cuda

// expected-error @below {{holds no rshard.buffer @comp.x vs a module of the scheduled phase}}
module {}

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
