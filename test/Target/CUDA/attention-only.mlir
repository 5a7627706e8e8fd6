// RUN: rshard-opt %s --rshard-plan=activations=bf16 --rshard-partition --rshard-schedule --convert-rshard-to-cuda | FileCheck %s

// CHECK-LABEL: func.func private @attend.enter(
// CHECK-SAME: %[[ROWS:[^:]*]]: memref<?x128xbf16, strided<[128, 1], offset: ?>>,
// CHECK: rshard.run @kernels::@columns_64_from_0_of_128_bf16 of %{{.*}}(%[[ROWS]], %{{.*}}) :
// CHECK-NEXT: rshard.run @kernels::@columns_32_from_64_of_128_bf16 of %{{.*}}(%[[ROWS]], %{{.*}}) :
// CHECK-NEXT: rshard.run @kernels::@columns_32_from_96_of_128_bf16 of %{{.*}}(%[[ROWS]], %{{.*}}) :
// CHECK-LABEL: func.func private @attend.leave(
// CHECK: rshard.run @kernels::@merge_4x16_f32_bf16
// The caller reads f32.
// CHECK-LABEL: func.func private @client.head(
// CHECK: rshard.run @kernels::@convert_64_bf16_f32

// A block copies the columns of one row, 16 bytes at a time.
// CHECK-LABEL: llvm.func @columns_32_from_64_of_128_bf16(
// CHECK: llvm.load {{.*}} -> vector<4xi32>
// CHECK: llvm.store {{.*}} : vector<4xi32>

module {
  func.func private @attend(%layer: index, %rows: tensor<?x8x16xf32>, %positions: tensor<?xi32>) -> tensor<?x4x16xf32> {
    %q = rshard.heads %rows [0, 4) : tensor<?x8x16xf32> -> tensor<?x4x16xf32>
    %k = rshard.heads %rows [4, 6) : tensor<?x8x16xf32> -> tensor<?x2x16xf32>
    %v = rshard.heads %rows [6, 8) : tensor<?x8x16xf32> -> tensor<?x2x16xf32>
    %o = rshard.attention %q, %k, %v mask <causal> scale 0.25 : tensor<?x4x16xf32>, tensor<?x2x16xf32>
    return %o : tensor<?x4x16xf32>
  }
  func.func @main(%rows: tensor<?x8x16xf32>, %positions: tensor<?xi32>) -> tensor<?x4x16xf32> {
    %o = rshard.layers [@attend] [0] (%rows, %positions) : tensor<?x8x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>
    return %o : tensor<?x4x16xf32>
  }
}
