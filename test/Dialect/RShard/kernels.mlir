// RUN: rshard-opt %s | FileCheck %s

// CHECK: gpu.module @kernels
// CHECK: llvm.func @add
// CHECK-SAME: rshard.kernel = #rshard.kernel<threads = 128, shared = 1024, blocks = 2, resident = 1, grid[<0, 64>, <2, 1>] parameters[#rshard.pointer<0>, #rshard.rows<1>, #rshard.scalar<2>, #rshard.map<1, bf16, extents[<64>, <1 * 1>] strides[<128>] box[64, 16] swizzle 128>]>
gpu.module @kernels {
  llvm.func @add(%x: !llvm.ptr<1>, %rows: i32, %n: i32, %map: !llvm.ptr)
      attributes {gpu.kernel, nvvm.kernel,
                  rshard.kernel = #rshard.kernel<threads = 128, shared = 1024, blocks = 2, resident = 1,
                    grid [<0, 64>, <2, 1>] parameters [#rshard.pointer<0>, #rshard.rows<1>, #rshard.scalar<2>,
                    #rshard.map<1, bf16, extents [<64>, <1 * 1>] strides [<128>] box [64, 16] swizzle 128>]>} {
    llvm.return
  }
  // CHECK: llvm.func @nothing
  // CHECK-SAME: grid[] parameters[#rshard.pointer<0>]
  llvm.func @nothing(%x: !llvm.ptr<1>)
      attributes {gpu.kernel, nvvm.kernel,
                  rshard.kernel = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0,
                    grid [] parameters [#rshard.pointer<0>]>} {
    llvm.return
  }
}

// CHECK-LABEL: func.func @segment
func.func @segment(%frame: !rshard.frame, %x: memref<?x64xf32>, %y: memref<?x64xf32>, %n: index) {
  // CHECK: rshard.run @kernels::@add of %{{.*}}(%{{.*}}, %{{.*}}, %{{.*}}) : memref<?x64xf32>, memref<?x64xf32>, index
  rshard.run @kernels::@add of %frame(%x, %y, %n) : memref<?x64xf32>, memref<?x64xf32>, index
  return
}
