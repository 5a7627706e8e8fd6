// RUN: rshard-opt %s | rshard-opt | FileCheck %s
// RUN: rshard-opt %s --mlir-print-op-generic | rshard-opt | FileCheck %s

// CHECK: rshard.sharding @R ["period 7: [0,2)", "period 7: [2,4)", "period 7: [4,6)", "period 7: [6,7)"]
rshard.sharding @R ["period 7: [0,2)", "period 7: [2,4)", "period 7: [4,6)", "period 7: [6,7)"]
// CHECK: rshard.sharding @S ["[0,3) below 4, then period 2: [0,1)", "[3,4) below 4, then period 2: [1,2)"]
rshard.sharding @S ["[0,3) below 4, then period 2: [0,1)", "[3,4) below 4, then period 2: [1,2)"]
// CHECK: rshard.sharding @finite ["[0,3) [5,6)", "empty", "[3,5)"]
rshard.sharding @finite ["[0,3) [5,6)", "empty", "[3,5)"]
// CHECK: rshard.grid @grid queries(@S) keys(@R)
rshard.grid @grid queries(@S) keys(@R)
// CHECK: rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 1) ranks [0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 1) ranks [0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]
// CHECK-LABEL: func.func @planned
func.func @planned(%q: tensor<?x4x16xf32>, %k: tensor<?x2x16xf32>) -> tensor<?x4x16xf32> {
  // CHECK: rshard.attention %{{.*}}, %{{.*}}, %{{.*}} mask <causal> scale 2.500000e-01 on @grid : tensor<?x4x16xf32>, tensor<?x2x16xf32>
  %o = rshard.attention %q, %k, %k mask <causal> scale 0.25 on @grid : tensor<?x4x16xf32>, tensor<?x2x16xf32>
  return %o : tensor<?x4x16xf32>
}
