// RUN: rshard-opt %s --split-input-file --rshard-plan="comp=2 cluster=1 period=2" --rshard-partition | FileCheck %s
// RUN: rshard-opt %s --split-input-file --rshard-plan="comp=2 cluster=1 period=2 client-first=1 client-last=1" --rshard-partition | FileCheck %s --check-prefix=CLIENT

// CHECK: module attributes {rshard.layer_classes = array<i32: 0, 0, 0>}
// CHECK: rshard.route @enter{{.*}}enter : [tensor<?x8xf32>]
// CHECK-NEXT: rshard.route @query0{{.*}}query class 0 mask <causal> : [tensor<?x2x4xf32>]
// CHECK-NEXT: rshard.route @key0{{.*}}key class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
// CHECK-NEXT: rshard.route @partial0{{.*}}partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
// CHECK-NEXT: rshard.route @leave{{.*}}leave : [tensor<?x8xf32>]

// The prologue's segment takes nothing but what the attention needs.
// CHECK-LABEL: func.func private @layer.enter(
// CHECK-SAME: %[[L:.*]]: index, %[[X:.*]]: tensor<?x8xf32>
// CHECK-NEXT: rshard.parameter @w[%[[L]]]
// CHECK-NEXT: %[[Q:.*]] = rshard.linear %[[X]]
// CHECK-NEXT: return %[[Q]], %[[Q]], %[[Q]]

// One segment for every pair of neighbouring layers, whatever their number: leave of one, enter of the next.
// CHECK-LABEL: func.func private @layer.layer(
// CHECK-SAME: %[[L:[a-z0-9]+]]: index, %[[X:[a-z0-9]+]]: tensor<?x8xf32>
// CHECK: %[[M:.*]] = rshard.merge
// CHECK: rshard.parameter @w[%[[L]]]
// CHECK: rshard.linear %[[M]]
// CHECK: %[[Y:.*]] = rshard.add %[[X]]
// CHECK: %[[NEXT:.*]] = arith.addi %[[L]]
// CHECK: rshard.parameter @w[%[[NEXT]]]
// CHECK: rshard.linear %[[Y]]

// CHECK-LABEL: func.func private @layer.leave(
// CHECK-LABEL: func.func @client(
// CHECK: %[[X:.*]] = call @client.embed
// CHECK: rshard.send @enter(%[[X]])
// CHECK: %[[Y:.*]] = rshard.receive @leave
// CHECK: %[[W:.*]] = rshard.wanted %[[Y]]
// CHECK: return %[[W]]

// CHECK-LABEL: func.func @comp(
// CHECK: rshard.receive @enter
// CHECK: call @layer.enter
// CHECK: rshard.send @query0
// CHECK: rshard.send @key0
// CHECK: scf.for
// CHECK:   rshard.receive @partial0
// CHECK:   call @layer.layer
// CHECK:   rshard.send @query0
// CHECK:   rshard.send @key0
// CHECK: rshard.receive @partial0
// CHECK: call @layer.leave
// CHECK: rshard.send @leave

// CHECK-LABEL: func.func @attn(
// CHECK: scf.for
// CHECK:   rshard.receive @query0
// CHECK:   rshard.receive @key0
// CHECK:   rshard.append
// CHECK:   rshard.partial_attention
// CHECK:   rshard.send @partial0

// One sharded layer remains: no pair, and the client runs the others with its own cache.
// CLIENT-NOT: @layer.layer
// CLIENT: func.func private @layer.finish
// CLIENT-LABEL: func.func @client(
// CLIENT: scf.for
// CLIENT:   call @layer.enter
// CLIENT:   rshard.append
// CLIENT:   rshard.partial_attention
// CLIENT:   call @layer.finish
// CLIENT: rshard.send @enter
// CLIENT: rshard.receive @leave
// CLIENT: scf.for
// CLIENT: rshard.wanted

func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %z = rshard.add %x, %y : tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@layer] [0, 0, 0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}
rshard.weight @w "layers.{}.w" layers [0, 3) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
