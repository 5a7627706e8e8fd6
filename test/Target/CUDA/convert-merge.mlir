// RUN: rshard-opt %s --convert-rshard-to-cuda --rshard-verify-overlap | FileCheck %s

// Of one row with one partial nothing is merged: the product reads the partial. The sizes of the tables say so when the
// step runs.

rshard.weight @w "w" : tensor<128x128xf32>
rshard.buffer @comp.x rows "comp" : memref<?x128xbf16>
rshard.buffer @pool.partial.o rows "pool_partial" : memref<?x128xf32>
rshard.buffer @pool.partial.lse rows "pool_partial" : memref<?x2xf32>
rshard.table @merge0.begin
rshard.table @merge0.source

// CHECK-LABEL: func.func private @leave(
// CHECK-SAME: %[[X:[^:]*]]: memref<?x128xbf16, strided<[128, 1], offset: ?>>, %[[O:[^:]*]]: memref<?x128xf32, {{[^%]*}}, %[[LSE:[^:]*]]: memref<?x2xf32, {{[^%]*}}, %[[BEGIN:[^:]*]]: memref<?xi32, {{[^%]*}}, %[[SOURCE:[^:]*]]: memref<?xi32, {{[^%]*}}, %[[OUT:[^:]*]]: memref<?x128xbf16
// CHECK: %[[MERGED:.*]] = memref.reinterpret_cast
// CHECK: memref.dim %[[MERGED]],
// CHECK: arith.cmpi ne,
// CHECK: memref.dim %[[SOURCE]],
// CHECK: arith.cmpi ne,
// CHECK: %[[NEEDED:.*]] = arith.ori
// CHECK: scf.if %[[NEEDED]] {
// CHECK-NEXT: rshard.run @kernels::@merge_2x64_f32_bf16 of %{{.*}}(%[[O]], %[[LSE]], %[[BEGIN]], %[[SOURCE]], %[[MERGED]])
// CHECK-NEXT: }
// CHECK: %[[W:.*]] = rshard.get_weight
// CHECK: scf.if
// CHECK: rshard.run @kernels::@linear_small8_128x128_bf16_residual of %{{.*}}(%[[MERGED]], %[[W]], %[[X]], %[[OUT]])
// CHECK: rshard.run @kernels::@linear_p128_128x128_bf16_residual of
// CHECK-NOT: rshard.run
// CHECK: } else {
// CHECK-NEXT: rshard.run @kernels::@linear_small8_128x128_bf16_residual_partial_f32 of %{{.*}}(%[[MERGED]], %[[W]], %[[X]], %[[OUT]], %[[O]], %[[SOURCE]])
// CHECK-NEXT: }
// CHECK-NEXT: return
func.func private @leave(%layer: index, %x: tensor<?x128xbf16>, %o: tensor<?x2x64xf32>, %lse: tensor<?x2xf32>, %begin: tensor<?xi32>, %source: tensor<?xi32>) -> tensor<?x128xbf16> {
  %w = rshard.parameter @w : tensor<128x128xf32>
  %m = rshard.merge %o, %lse by %begin, %source : tensor<?x2x64xf32>, tensor<?x2xf32>, tensor<?xi32> -> tensor<?x2x64xbf16>
  %y = rshard.linear %m, %w : (tensor<?x2x64xbf16>, tensor<128x128xf32>) -> tensor<?x128xbf16>
  %z = rshard.add %x, %y : tensor<?x128xbf16>
  return %z : tensor<?x128xbf16>
}

func.func @step(%frame: !rshard.frame) {
  %c0 = arith.constant 0 : index
  %x = rshard.get_buffer %frame[@comp.x] : memref<?x128xbf16>
  %o = rshard.get_buffer %frame[@pool.partial.o] : memref<?x128xf32>
  %lse = rshard.get_buffer %frame[@pool.partial.lse] : memref<?x2xf32>
  %begin = rshard.get_table %frame[@merge0.begin] : memref<?xi32>
  %source = rshard.get_table %frame[@merge0.source] : memref<?xi32>
  rshard.launch @leave layer %c0 of %frame ins(%x, %o, %lse, %begin, %source) outs(%x) : (memref<?x128xbf16>, memref<?x128xf32>, memref<?x2xf32>, memref<?xi32>, memref<?xi32>) -> memref<?x128xbf16>
  return
}
