// RUN: rshard-opt %s --rshard-verify-overlap | FileCheck %s
// RUN: rshard-opt %S/convert-rotation.mlir --convert-rshard-to-cuda --rshard-verify-overlap -o /dev/null
// RUN: rshard-opt %S/convert-to-kernels.mlir --convert-rshard-to-cuda --rshard-verify-overlap -o /dev/null
// RUN: rshard-opt %S/convert-attention.mlir --convert-rshard-to-cuda --rshard-verify-overlap -o /dev/null

// Kernels that wait on all paths before they touch what others write, and are given what they may read before that.

#launch = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>, #rshard.pointer<1>]>

gpu.module @kernels {
  // CHECK: llvm.func @branches
  llvm.func @branches(%x: !llvm.ptr<1>, %y: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    %yes = arith.constant true
    %one = arith.constant 1 : i32
    scf.if %yes {
      // Another one of w, whichever it is.
      %other = llvm.getelementptr %x[%one] : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>, i32
      %chosen = arith.select %yes, %x, %other : !llvm.ptr<1>
      %early = llvm.load %chosen invariant : !llvm.ptr<1> -> i32
      llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
      llvm.store %early, %y : i32, !llvm.ptr<1>
    } else {
      llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    }
    %late = llvm.load %y : !llvm.ptr<1> -> i32
    llvm.store %late, %y : i32, !llvm.ptr<1>
    llvm.return
  }
  // What a loop tests is run at least once.
  llvm.func @loop(%x: !llvm.ptr<1>, %y: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    %yes = arith.constant true
    scf.while : () -> () {
      llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
      scf.condition(%yes)
    } do {
      %v = llvm.load %x : !llvm.ptr<1> -> i32
      llvm.store %v, %y : i32, !llvm.ptr<1>
      scf.yield
    }
    %v = llvm.load %y : !llvm.ptr<1> -> i32
    llvm.return
  }
  // Shared memory is the block's own.
  llvm.func @shared(%x: !llvm.ptr<1>, %y: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    %zero = arith.constant 0 : i32
    %at = llvm.inttoptr %zero : i32 to !llvm.ptr<3>
    llvm.store %zero, %at : i32, !llvm.ptr<3>
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    llvm.return
  }
  // Warps that play one of two parts touch nothing of others, and need not wait.
  llvm.func @parts(%x: !llvm.ptr<1>, %y: !llvm.ptr<1>) attributes {rshard.kernel = #launch} {
    %yes = arith.constant true
    scf.if %yes {
      %early = llvm.load %x invariant : !llvm.ptr<1> -> i32
    } else {
      llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
      %late = llvm.load %y : !llvm.ptr<1> -> i32
    }
    llvm.return
  }
}

rshard.weight @w "w" : tensor<8xf32>
rshard.buffer @comp.x rows "comp" : memref<?x8xf32>
rshard.buffer @rotary.rope rows "positions" : memref<?x8xf32>
rshard.table @comp.position
func.func private @segment(%frame: !rshard.frame, %positions: memref<?xi32>) {
  %w = rshard.get_weight %frame, 0 : memref<8xf32>
  %angles = rshard.get_buffer %frame[@rotary.rope] : memref<?x8xf32>
  %x = rshard.get_buffer %frame[@comp.x] : memref<?x8xf32>
  rshard.run @kernels::@branches of %frame(%w, %x) : memref<8xf32>, memref<?x8xf32>
  rshard.run @kernels::@branches of %frame(%angles, %x) : memref<?x8xf32>, memref<?x8xf32>
  rshard.run @kernels::@branches of %frame(%positions, %x) : memref<?xi32>, memref<?x8xf32>
  rshard.run @kernels::@loop of %frame(%x, %x) : memref<?x8xf32>, memref<?x8xf32>
  return
}
func.func @step(%frame: !rshard.frame) {
  %p = rshard.get_table %frame[@comp.position] : memref<?xi32>
  func.call @segment(%frame, %p) : (!rshard.frame, memref<?xi32>) -> ()
  return
}
