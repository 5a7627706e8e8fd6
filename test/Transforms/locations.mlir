// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2" --rshard-partition --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s
// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2" --rshard-partition --rshard-schedule --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s --check-prefix=SCHEDULE

// What the partitioner writes stands where the op stands that it comes from: a route and its messages at the attention
// of its layers, the segment between two layers at both.
// CHECK: rshard.route @enter {{.*}} loc("layers")
// CHECK: rshard.route @query0 {{.*}} loc(fused["attention of a", "attention of b"])
// CHECK-LABEL: func.func private @a.b(
// CHECK: rshard.merge {{.*}} loc("attention of a")
// CHECK: } loc(fused["a", "b"])
// CHECK-LABEL: func.func @comp(
// CHECK: rshard.receive @enter {{.*}} loc("layers")
// CHECK: rshard.send @query0{{.*}} loc("attention of a")
// CHECK: rshard.receive @partial0 {{.*}} loc("attention of a")
// CHECK: call @a.b({{.*}} loc(fused["a", "b"])
// CHECK: } loc("model")
// CHECK-LABEL: func.func @attn(
// CHECK: rshard.partial_attention {{.*}} loc(fused["attention of a", "attention of b"])

// So does the driver: exchanges at the messages that they carry, cells at their attention.
// SCHEDULE-LABEL: func.func @step(
// SCHEDULE: rshard.launch @client.embed {{.*}} loc("model")
// SCHEDULE: rshard.exchange %{{.*}}, 0 {{.*}} loc("layers")
// SCHEDULE: rshard.launch @a.enter {{.*}} loc("a")
// SCHEDULE: rshard.exchange %{{.*}}, 1 {{.*}} loc("attention of a")
// SCHEDULE: rshard.attend {{.*}} loc(fused["attention of a", "attention of b"])
// SCHEDULE: rshard.launch @a.b {{.*}} loc(fused["a", "b"])

rshard.weight @w "layers.{}.w" layers [0, 2) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
func.func private @a(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32> loc("attention of a")
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
} loc("a")
func.func private @b(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32> loc("attention of b")
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %z = rshard.add %x, %y : tensor<?x8xf32>
  return %z : tensor<?x8xf32>
} loc("b")
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@a, @b] [0, 1] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32> loc("layers")
  return %y : tensor<?x8xf32>
} loc("model")
