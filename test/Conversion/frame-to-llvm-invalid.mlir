// RUN: rshard-opt %s --split-input-file --verify-diagnostics --convert-rshard-frame-to-llvm

// A frame lists what the module itself declares.
module {
  module {
    rshard.buffer @x rows "comp" : memref<?x16xf32>
    func.func @step(%frame: !rshard.frame) {
      // expected-error @below {{'rshard.get_buffer' op reads @x, which is not declared}}
      %x = rshard.get_buffer %frame[@x] : memref<?x16xf32>
      return
    }
  }
}
