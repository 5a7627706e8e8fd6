// RUN: rshard-opt %s --split-input-file --verify-diagnostics --rshard-verify-overlap

#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  llvm.func @store(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    %v = arith.constant 0 : i32
    // expected-error @below {{'llvm.store' op touches global memory in front of griddepcontrol.wait vs behind it: earlier kernels may still write there}}
    llvm.store %v, %x : i32, !llvm.ptr<1>
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    llvm.return
  }
}

// -----

#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  llvm.func @load(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    // expected-error @below {{'llvm.load' op touches global memory in front of}}
    %v = llvm.load %x : !llvm.ptr<1> -> i32
    llvm.return
  }
}

// -----

// One of two branches.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  llvm.func @branch(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    %yes = arith.constant true
    scf.if %yes {
      llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    } else {
    }
    // expected-error @below {{'llvm.load' op touches global memory in front of}}
    %v = llvm.load %x : !llvm.ptr<1> -> i32
    llvm.return
  }
}

// -----

// There is no other branch.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  llvm.func @branch(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    %yes = arith.constant true
    scf.if %yes {
      llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    }
    // expected-error @below {{'llvm.load' op touches global memory in front of}}
    %v = llvm.load %x : !llvm.ptr<1> -> i32
    llvm.return
  }
}

// -----

// A loop may run 0 times.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>, #rshard.rows<0>]>
gpu.module @kernels {
  llvm.func @loop(%x: !llvm.ptr<1>, %n: i32) attributes {rshard.kernel = #launch} {
    %c0 = arith.constant 0 : i32
    %c1 = arith.constant 1 : i32
    scf.for %i = %c0 to %n step %c1 : i32 {
      llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    }
    // expected-error @below {{'llvm.load' op touches global memory in front of}}
    %v = llvm.load %x : !llvm.ptr<1> -> i32
    llvm.return
  }
}

// -----

// The next kernel would wait for this one alone, while earlier ones still run.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  // expected-error @below {{'llvm.func' op may never execute griddepcontrol.wait vs once in some thread: kernels behind it take earlier ones to have ended when it has}}
  llvm.func @shared(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    %zero = arith.constant 0 : i32
    %at = llvm.inttoptr %zero : i32 to !llvm.ptr<3>
    llvm.store %zero, %at : i32, !llvm.ptr<3>
    llvm.return
  }
}

// -----

// No thread may take the branch.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  // expected-error @below {{'llvm.func' op may never execute griddepcontrol.wait}}
  llvm.func @branch(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    %yes = arith.constant true
    scf.if %yes {
      llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
      %v = llvm.load %x : !llvm.ptr<1> -> i32
    }
    llvm.return
  }
}

// -----

// The body of a loop may run 0 times.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  // expected-error @below {{'llvm.func' op may never execute griddepcontrol.wait}}
  llvm.func @loop(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    %yes = arith.constant true
    scf.while : () -> () {
      scf.condition(%yes)
    } do {
      llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
      scf.yield
    }
    llvm.return
  }
}

// -----

// Neither the code generator nor the assembler knows that this orders memory.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  llvm.func @no_order(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "" : () -> ()
    // expected-error @below {{'llvm.load' op touches global memory in front of}}
    %v = llvm.load %x : !llvm.ptr<1> -> i32
    llvm.return
  }
}

// -----

// Inline PTX.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  llvm.func @atomic(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    %one = arith.constant 1 : i32
    // expected-error @below {{'llvm.inline_asm' op touches global memory in front of}}
    %v = llvm.inline_asm has_side_effects "atom.global.add.u32 $0, [$1], $2;", "=r,l,r" %x, %one : (!llvm.ptr<1>, i32) -> i32
    llvm.return
  }
}

// -----

// The tensor memory accelerator.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  llvm.func @copy(%map: !llvm.ptr) attributes {rshard.kernel = #launch} {
    %zero = arith.constant 0 : i32
    %from = llvm.inttoptr %zero : i32 to !llvm.ptr<3>
    // expected-error @below {{op touches global memory in front of}}
    nvvm.cp.async.bulk.tensor.global.shared.cta %map, %from, box[%zero, %zero] : !llvm.ptr, !llvm.ptr<3>
    llvm.return
  }
}

// -----

// An address that is no parameter's: nobody can say what the kernel is given.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  llvm.func @number(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    %at = llvm.load %x : !llvm.ptr<1> -> i64
    %there = llvm.inttoptr %at : i64 to !llvm.ptr<1>
    // expected-error @below {{'llvm.load' op reads what no kernel may write at an address that is not computed from a parameter of the kernel}}
    %v = llvm.load %there invariant : !llvm.ptr<1> -> i32
    llvm.return
  }
}

// -----

#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  // expected-error @below {{'llvm.func' op has 2 blocks vs 1: a kernel's branches and loops are those of scf}}
  llvm.func @blocks(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    llvm.br ^end
  ^end:
    llvm.return
  }
}

// -----

#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  // expected-error @below {{'llvm.func' op takes 2 parameters vs 1 that it is launched with}}
  llvm.func @parameters(%x: !llvm.ptr<1>, %y: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    llvm.return
  }
}

// -----

// What a kernel reads before the wait, or behind it with a load that may move there, is written by no kernel.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.rows<0>, #rshard.pointer<0>]>
gpu.module @kernels {
  // expected-note @below {{the kernel reads it before earlier ones have ended}}
  llvm.func @constant(%n: i32, %x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    %v = llvm.inline_asm has_side_effects "ld.global.nc.b32 $0, [$1];", "=r,l" %x : (!llvm.ptr<1>) -> i32
    llvm.return
  }
}
rshard.buffer @comp.x rows "comp" : memref<?x8xf32>
func.func private @segment(%frame: !rshard.frame, %x: memref<?x8xf32>) {
  // expected-error @below {{'rshard.run' op argument 0: memory that kernels may write vs a weight, a table or rows of positions}}
  rshard.run @kernels::@constant of %frame(%x) : memref<?x8xf32>
  return
}
func.func @step(%frame: !rshard.frame) {
  %x = rshard.get_buffer %frame[@comp.x] : memref<?x8xf32>
  func.call @segment(%frame, %x) : (!rshard.frame, memref<?x8xf32>) -> ()
  return
}

// -----

// Somebody else may call the segment.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  // expected-note @below {{the kernel reads it before earlier ones have ended}}
  llvm.func @constant(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    %v = llvm.load %x invariant : !llvm.ptr<1> -> i32
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    llvm.return
  }
}
func.func @segment(%frame: !rshard.frame, %x: memref<?x8xf32>) {
  // expected-error @below {{'rshard.run' op argument 0: memory that kernels may write vs}}
  rshard.run @kernels::@constant of %frame(%x) : memref<?x8xf32>
  return
}

// -----

// A copy in front of the wait.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.map<0, bf16, extents[<8>, <1 * 0>] strides[<16>] box[8, 8] swizzle 128>]>
gpu.module @kernels {
  // expected-note @below {{the kernel reads it before earlier ones have ended}}
  llvm.func @early(%map: !llvm.ptr) attributes {rshard.kernel = #launch} {
    %zero = arith.constant 0 : i32
    %to = llvm.inttoptr %zero : i32 to !llvm.ptr<7>
    %barrier = llvm.inttoptr %zero : i32 to !llvm.ptr<3>
    nvvm.cp.async.bulk.tensor.shared.cluster.global %to, %map, %barrier, box[%zero, %zero] : !llvm.ptr<7>, !llvm.ptr
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    llvm.return
  }
}
rshard.buffer @comp.x rows "comp" : memref<?x8xbf16>
func.func @step(%frame: !rshard.frame) {
  %x = rshard.get_buffer %frame[@comp.x] : memref<?x8xbf16>
  // expected-error @below {{'rshard.run' op argument 0: memory that kernels may write vs}}
  rshard.run @kernels::@early of %frame(%x) : memref<?x8xbf16>
  return
}

// -----

// What other kernels may read early is not written: not by a store, ...
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.rows<0>, #rshard.pointer<0>]>
gpu.module @kernels {
  // expected-note @below {{the kernel writes it}}
  llvm.func @store(%n: i32, %x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    %at = llvm.getelementptr %x[%n] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
    llvm.store %n, %at : i32, !llvm.ptr<1>
    llvm.return
  }
}
rshard.weight @w "w" : tensor<8xf32>
func.func @step(%frame: !rshard.frame) {
  %w = rshard.get_weight %frame, 0 : memref<8xf32>
  // expected-error @below {{'rshard.run' op argument 0: memory that kernels may read before earlier ones have ended vs a buffer of other rows than positions}}
  rshard.run @kernels::@store of %frame(%w) : memref<8xf32>
  return
}

// -----

// ... not by an atomic, ...
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.rows<0>, #rshard.pointer<0>]>
gpu.module @kernels {
  // expected-note @below {{the kernel writes it}}
  llvm.func @count(%n: i32, %x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    %v = llvm.atomicrmw add %x, %n monotonic : !llvm.ptr<1>, i32
    llvm.return
  }
}
rshard.buffer @rotary.rope rows "positions" : memref<?x8xf32>
func.func @step(%frame: !rshard.frame) {
  %angles = rshard.get_buffer %frame[@rotary.rope] : memref<?x8xf32>
  // expected-error @below {{'rshard.run' op argument 0: memory that kernels may read before earlier ones have ended vs}}
  rshard.run @kernels::@count of %frame(%angles) : memref<?x8xf32>
  return
}

// -----

// ... not in inline PTX, and not where one of a segment's calls passes it.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.rows<0>, #rshard.pointer<0>]>
gpu.module @kernels {
  // expected-note @below {{the kernel writes it}}
  llvm.func @count(%n: i32, %x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    %v = llvm.inline_asm has_side_effects "atom.global.add.u32 $0, [$1], $2;", "=r,l,r" %x, %n : (!llvm.ptr<1>, i32) -> i32
    llvm.return
  }
}
rshard.buffer @comp.x rows "comp" : memref<?x8xf32>
rshard.buffer @rotary.rope rows "positions" : memref<?x8xf32>
func.func private @segment(%frame: !rshard.frame, %x: memref<?x8xf32>) {
  // expected-error @below {{'rshard.run' op argument 0: memory that kernels may read before earlier ones have ended vs}}
  rshard.run @kernels::@count of %frame(%x) : memref<?x8xf32>
  return
}
func.func @step(%frame: !rshard.frame) {
  %x = rshard.get_buffer %frame[@comp.x] : memref<?x8xf32>
  %angles = rshard.get_buffer %frame[@rotary.rope] : memref<?x8xf32>
  func.call @segment(%frame, %x) : (!rshard.frame, memref<?x8xf32>) -> ()
  func.call @segment(%frame, %angles) : (!rshard.frame, memref<?x8xf32>) -> ()
  return
}

// -----

// ... and not by a copy.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.map<0, bf16, extents[<8>, <1 * 0>] strides[<16>] box[8, 8] swizzle 128>]>
gpu.module @kernels {
  // expected-note @below {{the kernel writes it}}
  llvm.func @copy(%map: !llvm.ptr) attributes {rshard.kernel = #launch} {
    %zero = arith.constant 0 : i32
    %from = llvm.inttoptr %zero : i32 to !llvm.ptr<3>
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    nvvm.cp.async.bulk.tensor.global.shared.cta %map, %from, box[%zero, %zero] : !llvm.ptr, !llvm.ptr<3>
    llvm.return
  }
}
rshard.weight @w "w" : tensor<8x8xbf16>
func.func @step(%frame: !rshard.frame) {
  %w = rshard.get_weight %frame, 0 : memref<8x8xbf16>
  // expected-error @below {{'rshard.run' op argument 0: memory that kernels may read before earlier ones have ended vs}}
  rshard.run @kernels::@copy of %frame(%w) : memref<8x8xbf16>
  return
}

// -----

// An address that is no parameter's: nobody can say what is written.
#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>]>
gpu.module @kernels {
  llvm.func @number(%x: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    %zero = arith.constant 0 : i32
    %at = llvm.inttoptr %zero : i32 to !llvm.ptr<1>
    // expected-error @below {{'llvm.store' op writes at an address that is not computed from a parameter of the kernel}}
    llvm.store %zero, %at : i32, !llvm.ptr<1>
    llvm.return
  }
}
