// RUN: rshard-opt %s --rshard-plan | FileCheck %s
// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2 ranks=1" | FileCheck %s --check-prefix=SMALL
// RUN: rshard-opt %s --rshard-plan="comp=4 cluster=1 group=2" | FileCheck %s --check-prefix=GROUP
// RUN: not rshard-opt %s --rshard-plan="client-first=1 client-last=1" 2>&1 | FileCheck %s --check-prefix=CLIENT
// RUN: not rshard-opt %s --rshard-plan="comp=4 cluster=2 period=9" 2>&1 | FileCheck %s --check-prefix=PERIOD
// RUN: not rshard-opt %s --rshard-plan="file=%s.none" 2>&1 | FileCheck %s --check-prefix=FILE

// The figure's plan is the default.
// CHECK: rshard.sharding @R ["period 7: [0,2)", "period 7: [2,4)", "period 7: [4,6)", "period 7: [6,7)"]
// CHECK-NEXT: rshard.sharding @S ["period 7: [0,1) [2,3)", "period 7: [1,2) [3,4)", "period 7: [4,5) [6,7)", "period 7: [5,6)"]
// CHECK-NEXT: rshard.sharding @T ["period 7: [0,1) [2,3)", "period 7: [1,2) [3,4)", "period 7: [4,5) [6,7)", "period 7: [5,6)"]
// CHECK-NEXT: rshard.grid @grid queries(@S) keys(@T)
// CHECK-NEXT: rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 1, {{.*}}, 20]
// CHECK: rshard.attention {{.*}} on @grid

// SMALL: rshard.sharding @R ["period 2: [0,1)", "period 2: [1,2)"]
// SMALL: ranks [0, 0, 0, 0, 0, 0, 0]

// GROUP: rshard.sharding @R ["period 4: [0,1)", "period 4: [1,2)", "period 4: [2,3)", "period 4: [3,4)"]
// GROUP: rshard.sharding @S ["period 4: [0,2)", "period 4: [2,4)"]

// CLIENT: error: 'rshard.layers' op client layers: 1 + 1 vs less than the 2 layers of the model
// CLIENT: note: --client-layers L0,L1 must leave at least one layer to the CompNodes

// C1
// PERIOD: error: plan: {{.*}}9

// FILE: error: {{.*}}.none: No such file or directory

func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@layer] [0, 0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}
rshard.weight @w "layers.{}.w" layers [0, 2) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
