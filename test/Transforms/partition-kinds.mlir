// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2" --rshard-partition | FileCheck %s
// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2" --rshard-partition --rshard-schedule | FileCheck %s --check-prefix=SCHEDULE

// Two kinds of layers with different masks: routes of their own, and loops that switch on the kind.
// CHECK: rshard.layer_classes = array<i32: 0, 1, 0, 1>
// CHECK: rshard.route @query0{{.*}}class 0 mask <causal>
// CHECK: rshard.route @query1{{.*}}class 1 mask <window 8>
// CHECK-DAG: func.func private @full.local(
// CHECK-DAG: func.func private @local.full(
// CHECK-LABEL: func.func @comp(
// CHECK: scf.for %[[L:[a-z0-9]+]] =
// CHECK:   %[[KIND:.*]] = rshard.layer_kind %[[L]] of [1, 2, 1, 0]
// CHECK:   scf.index_switch %[[KIND]]
// CHECK:   case 1
// CHECK:     rshard.receive @partial0
// CHECK:     call @full.local
// CHECK:     rshard.send @query1
// CHECK:   default
// CHECK:     rshard.receive @partial1
// CHECK:     call @local.full
// CHECK:     rshard.send @query0
// CHECK-LABEL: func.func @attn(
// CHECK: rshard.layer_kind %{{.*}} of [0, 1, 0, 1]

// SCHEDULE-LABEL: func.func @step(
// SCHEDULE: %[[REACH:.*]] = rshard.get_table %{{.*}}[@reach1.last]
// SCHEDULE: scf.index_switch
// SCHEDULE: rshard.launch @full.local
// SCHEDULE: rshard.exchange %{{.*}}, 3
// SCHEDULE: %[[LAST:.*]] = memref.subview %[[REACH]]
// SCHEDULE: rshard.attend {{.*}} sees[%{{.*}}, %[[LAST]]]
// SCHEDULE: rshard.exchange %{{.*}}, 4

func.func private @full(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func private @local(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <window 8> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@full, @local] [0, 1, 0, 1] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}
rshard.weight @w "layers.{}.w" layers [0, 4) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
