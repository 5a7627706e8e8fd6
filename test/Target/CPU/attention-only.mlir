// RUN: rshard-opt %s --rshard-plan --rshard-partition --rshard-schedule --convert-rshard-to-cpu=cpu=x86-64-v3 | FileCheck %s

// Heads are columns of the caller's rows, and the merge is all that follows the attention: no weights, no workspace.
// CHECK: module attributes {{.*}}rshard.weight_slots = []
// CHECK-NOT: @workspace
// CHECK-LABEL: func.func private @attend.enter(
// CHECK-SAME: %[[ROWS:[^:]*]]: memref<?x128xf32, strided<[128, 1], offset: ?>>,
// CHECK: call @cpu.columns_64_from_0_of_128(%[[ROWS]], %[[Q:.*]]) :
// CHECK-NEXT: call @cpu.columns_32_from_64_of_128(%[[ROWS]], %[[K:.*]]) :
// CHECK-NEXT: call @cpu.columns_32_from_96_of_128(%[[ROWS]], %[[V:.*]]) :
// CHECK-NEXT: return
// CHECK-LABEL: func.func private @attend.leave(
// CHECK: call @cpu.merge_4x16(
// CHECK-NEXT: return

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
