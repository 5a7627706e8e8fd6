// RUN: rshard-opt %s --rshard-plan='comp=2 attn=1x2' --rshard-partition | FileCheck %s
// RUN: rshard-opt %s --rshard-plan='comp=2 attn=1x2' --rshard-partition --rshard-schedule --rshard-verify-exchanges | FileCheck %s --check-prefix=DRIVER
// RUN: rshard-opt %s --rshard-plan='comp=2 attn=1x2 activations=bf16' --rshard-partition --rshard-schedule | FileCheck %s --check-prefix=BF16
// RUN: not rshard-opt %s --rshard-plan=client-first=1 2>&1 | FileCheck %s --check-prefix=CLIENT

// CLIENT: error: 'rshard.layers' op client layers: 1 + 0 vs less than the 1 layers of the model

// Queries, keys and values enter as rows of all their heads, and the attention's rows leave.
// CHECK: rshard.route @enter enter : [tensor<?x8x16xf32>]
// CHECK: rshard.route @leave leave : [tensor<?x4x16xf32>]

// The caller's rows go to the CompNodes as they are.
// CHECK-NOT: @client.embed
// CHECK-LABEL: func.func private @attend.enter(
// CHECK-SAME: %[[ROWS:[^:]*]]: tensor<?x8x16xf32>
// CHECK: %[[Q:.*]] = rshard.heads %[[ROWS]] [0, 4)
// CHECK: %[[K:.*]] = rshard.heads %[[ROWS]] [4, 6)
// CHECK: %[[V:.*]] = rshard.heads %[[ROWS]] [6, 8)
// CHECK: return %[[Q]], %[[K]], %[[V]]
// CHECK-LABEL: func.func private @attend.leave(
// CHECK: %[[O:.*]] = rshard.merge
// CHECK-NEXT: return %[[O]] : tensor<?x4x16xf32>
// CHECK-LABEL: func.func @client(
// CHECK: %[[GIVEN:.*]] = rshard.rows : tensor<?x8x16xf32>
// CHECK: rshard.send @enter(%[[GIVEN]])
// CHECK: %[[BACK:.*]] = rshard.receive @leave {{.*}} : tensor<?x4x16xf32>
// CHECK: %[[WANTED:.*]] = rshard.wanted %[[BACK]]
// CHECK-NEXT: return %[[WANTED]]

// The client's rank sends what the caller has written into the pool.
// DRIVER-DAG: rshard.buffer @pool.enter rows "pool_enter" : memref<?x128xf32>
// DRIVER-DAG: rshard.buffer @comp.x rows "comp" : memref<?x128xf32>
// DRIVER-DAG: rshard.buffer @pool.leave rows "pool_leave" : memref<?x64xf32>
// DRIVER-DAG: rshard.buffer @result rows "wanted" : memref<?x64xf32>
// DRIVER-LABEL: func.func @step(
// DRIVER-NOT: rshard.launch
// DRIVER: rshard.exchange %{{.*}}, 0
// DRIVER: rshard.launch @attend.enter
// DRIVER: rshard.exchange %{{.*}}, 1
// DRIVER: rshard.attend
// DRIVER: rshard.exchange %{{.*}}, 2
// DRIVER: rshard.launch @attend.leave
// DRIVER: rshard.exchange %{{.*}}, 3
// DRIVER-NOT: rshard.launch

// Rows are of the plan's type, and the caller reads f32.
// BF16: rshard.buffer @pool.enter rows "pool_enter" : memref<?x128xbf16>
// BF16: func.func private @client.head({{.*}}tensor<?x4x16xbf16>) -> tensor<?x4x16xf32>

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
