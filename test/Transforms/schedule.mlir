// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2" --rshard-partition --rshard-schedule | FileCheck %s
// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2 client-first=1" --rshard-partition --rshard-schedule | FileCheck %s --check-prefix=CLIENT
// RUN: rshard-opt %s --rshard-plan="comp=8 attn=8x8 cluster=2 period=16" --rshard-partition --rshard-schedule | FileCheck %s
// RUN: rshard-opt %s --rshard-plan="comp=1 attn=1x1 activations=bf16" --rshard-partition --rshard-schedule | FileCheck %s --check-prefix=WHOLE --implicit-check-not=merge
// RUN: rshard-opt %s --rshard-plan="comp=1 attn=1x1 activations=bf16 partials=f32" --rshard-partition --rshard-schedule | FileCheck %s --check-prefix=WIDE
// RUN: rshard-opt %s --rshard-plan="comp=2 attn=1x1 activations=bf16" --rshard-partition --rshard-schedule | FileCheck %s --check-prefix=TWO
// RUN: not rshard-opt %s --rshard-plan --rshard-schedule 2>&1 | FileCheck %s --check-prefix=PHASE

// PHASE: error: holds no program of role client vs a module of the partitioned phase

// CHECK: rshard.buffer @pool.enter rows "pool_enter" : memref<?x8xf32>
// CHECK: rshard.table @comp.position

// The driver: the same text for every rank and for any number of nodes.
// CHECK-LABEL: func.func @step(
// CHECK-SAME: %[[FRAME:.*]]: !rshard.frame
// CHECK: %[[COMM:.*]], %[[STREAM:.*]] = rshard.get_comm %[[FRAME]]
// CHECK: rshard.launch @client.embed

// Enter: the client's rows go to the CompNodes.
// CHECK: rshard.exchange %[[FRAME]], 0 layer
// CHECK: rshard.gather %{{.*}} into
// CHECK: nccl.group {
// CHECK:   scf.for
// CHECK:     scf.index_switch
// CHECK:     case 0 {
// CHECK:       %[[PART:.*]] = memref.subview
// CHECK:       nccl.recv %[[PART]] from %{{.*}} on %[[COMM]], %[[STREAM]]
// CHECK:     default {
// CHECK:       nccl.send
// CHECK: rshard.gather %{{[^ ]+}} into %[[X:[^ ]+]] :

// The prologue on the rows of all CompNodes of the rank at once; then up, the cells, and down.
// CHECK-NOT: scf.for
// CHECK: %[[ROWS:.*]] = memref.subview %[[X]][%c0{{.*}}, 0] [%{{.*}}, 8]
// CHECK-NOT: scf.for
// CHECK: rshard.launch @layer.enter {{.*}} ins(%[[ROWS]],
// CHECK-NEXT: rshard.exchange %[[FRAME]], 1 layer
// CHECK: nccl.group
// CHECK: scf.for
// CHECK:   rshard.append_rows
// CHECK:   rshard.append_rows
// CHECK: scf.for
// CHECK:   rshard.attend {{.*}} heads 2 scale 5.000000e-01
// CHECK: rshard.exchange %[[FRAME]], 2 layer
// CHECK: nccl.group

// The rotated loop.
// CHECK: scf.for %[[L:[a-z0-9]+]] = %{{[^ ]+}} to %c2 step
// CHECK-NOT: scf.for
// CHECK:   rshard.launch @layer.layer layer %[[L]]
// CHECK:   rshard.exchange %[[FRAME]], 1 layer
// CHECK:   rshard.exchange %[[FRAME]], 2 layer
// CHECK: rshard.launch @layer.leave
// CHECK: rshard.exchange %[[FRAME]], 3 layer
// CHECK: return

// CLIENT-LABEL: func.func @step(
// CLIENT: rshard.launch @client.embed
// CLIENT: scf.for
// CLIENT:   rshard.launch @layer.enter
// CLIENT:   rshard.append_rows
// CLIENT:   rshard.attend
// CLIENT:   rshard.launch @layer.finish
// CLIENT: rshard.exchange %{{.*}}, 0

// Where nothing is sharded, segments read the one partial of every row, and attention the queries, where they are.
// WHOLE-LABEL: func.func private @layer.layer(
// WHOLE-SAME: %{{[^:]*}}: index, %{{[^:]*}}: tensor<?x8xbf16>, %{{[^:]*}}: tensor<?xi32>, %[[O:[^:]*]]: tensor<?x2x4xbf16>)
// WHOLE: rshard.linear %[[O]],
// WHOLE-LABEL: func.func @step(
// WHOLE: %[[O:.*]] = rshard.get_buffer %{{.*}}[@pool.partial.o] : memref<?x8xbf16>
// WHOLE: rshard.attend %{{[^ ]*}}] inOrder,
// WHOLE: scf.for %{{[^ ]+}} = %{{[^ ]+}} to %c2
// WHOLE: %[[ROWS:.*]] = memref.subview %[[O]][%{{.*}}, 0] [%[[COUNT:.*]], 8]
// WHOLE: rshard.launch @layer.layer layer %{{.*}} of %{{.*}} ins(%{{[^ ]*}}, %{{[^ ]*}}, %[[ROWS]]) outs(

// WIDE-LABEL: func.func private @layer.layer(
// WIDE: rshard.merge
// WIDE: rshard.attend %{{[^ ]*}}] inOrder,

// Rows of two CompNodes of one rank are not in the order of positions.
// TWO-LABEL: func.func private @layer.layer(
// TWO: rshard.merge
// TWO-NOT: inOrder

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
  %y = rshard.layers [@layer] [0, 0, 0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}
rshard.weight @w "layers.{}.w" layers [0, 3) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
