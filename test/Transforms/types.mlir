// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2 activations=bf16" | FileCheck %s --check-prefix=PLAN
// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2 activations=f16 partials=f16" | FileCheck %s --check-prefix=HALF
// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2 activations=bf16" --rshard-partition | FileCheck %s --check-prefix=PART
// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2 activations=bf16 client-first=1" --rshard-partition --rshard-schedule | FileCheck %s --check-prefix=SCHED
// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1 period=2 activations=f16 partials=f16" --rshard-partition --rshard-schedule | FileCheck %s --check-prefix=NARROW
// RUN: rshard-opt %s --rshard-plan="comp=2 attn=2x1 activations=bf16" | FileCheck %s --check-prefix=COLUMN
// RUN: not rshard-opt %s --rshard-plan="activations=f8" 2>&1 | FileCheck %s --check-prefix=TYPE
// RUN: not rshard-opt %s --rshard-plan="activations=bf16 partials=f16" 2>&1 | FileCheck %s --check-prefix=PARTIALS

// All rows take the plan's type, weights, ids and positions stay, and the head writes f32.
// PLAN: rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) types <activations = bf16, partials = f32> ranks
// PLAN-LABEL: func.func private @layer(
// PLAN-SAME: tensor<?x8xbf16>, %{{.*}}: tensor<?xi32>) -> tensor<?x8xbf16>
// PLAN: rshard.parameter @w[%{{.*}}] : tensor<8x8xf32>
// PLAN: rshard.linear {{.*}} : (tensor<?x8xbf16>, tensor<8x8xf32>) -> tensor<?x2x4xbf16>
// PLAN: rshard.attention {{.*}} on @grid : tensor<?x2x4xbf16>, tensor<?x2x4xbf16>
// PLAN: rshard.add {{.*}} : tensor<?x8xbf16>
// PLAN-LABEL: func.func @main(
// PLAN-SAME: -> tensor<?x16xf32>
// PLAN: rshard.embedding {{.*}} -> tensor<?x8xbf16>
// PLAN: rshard.layers [@layer] [0, 0, 0](%{{.*}}, %{{.*}}) : tensor<?x8xbf16>, tensor<?xi32>
// PLAN: rshard.linear {{.*}} : (tensor<?x8xbf16>, tensor<16x8xf32>) -> tensor<?x16xf32>

// With one key shard there is one partial for a row.
// COLUMN: types <activations = bf16, partials = bf16>

// HALF: types <activations = f16, partials = f16>
// HALF: rshard.linear {{.*}} -> tensor<?x16xf32>

// Partials are of their own type, and merged to activations.
// PART: rshard.route @enter {{.*}} : [tensor<?x8xbf16>]
// PART: rshard.route @query0 {{.*}} : [tensor<?x2x4xbf16>]
// PART: rshard.route @key0 {{.*}} : [tensor<?x2x4xbf16>, tensor<?x2x4xbf16>]
// PART: rshard.route @partial0 {{.*}} : [tensor<?x2x4xf32>, tensor<?x2xf32>]
// PART: rshard.route @leave {{.*}} : [tensor<?x8xbf16>]
// PART: rshard.merge {{.*}} : tensor<?x2x4xf32>, tensor<?x2xf32>, tensor<?xi32> -> tensor<?x2x4xbf16>
// PART-LABEL: func.func private @client.head(
// PART: -> tensor<?x16xf32>
// PART-LABEL: func.func @attn(
// PART: rshard.append {{.*}} : tensor<?x2x4xbf16>, tensor<?xi32>
// PART: rshard.partial_attention {{.*}} -> tensor<?x2x4xf32>, tensor<?x2xf32>

// Buffers, and so messages, have the types of their rows. What the client attends itself is no partial.
// SCHED-DAG: rshard.buffer @pool.enter rows "pool_enter" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @enter.send rows "send_enter" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @comp.x rows "comp" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @pool.query rows "pool_query" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @query.send rows "send_query" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @pool.key rows "pool_key" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @value.send rows "send_key" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @cache.key rows "cache" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @cache.value rows "cache" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @pool.partial.o rows "pool_partial" : memref<?x8xf32>
// SCHED-DAG: rshard.buffer @partial.o.send rows "send_partial" : memref<?x8xf32>
// SCHED-DAG: rshard.buffer @pool.partial.lse rows "pool_partial" : memref<?x2xf32>
// SCHED-DAG: rshard.buffer @client.query rows "client" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @client.cache.key rows "client_cache" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @client.output rows "client" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @client.lse rows "client" : memref<?x2xf32>
// SCHED-DAG: rshard.buffer @client.out rows "client" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @client.wanted rows "wanted" : memref<?x8xbf16>
// SCHED-DAG: rshard.buffer @result rows "wanted" : memref<?x16xf32>
// SCHED-LABEL: func.func @step(
// SCHED: rshard.attend {{.*}} : memref<?x8xbf16>, {{.*}} memref<?x8xbf16, {{[^m]*}}, memref<?x2xf32
// SCHED: nccl.recv {{.*}} : memref<?x8xbf16
// SCHED: rshard.attend {{.*}} : memref<?x8xbf16>, {{.*}} memref<?x8xf32, {{[^m]*}}, memref<?x2xf32
// SCHED: nccl.send {{.*}} : memref<?x8xf32

// NARROW-DAG: rshard.buffer @pool.partial.o rows "pool_partial" : memref<?x8xf16>
// NARROW-DAG: rshard.buffer @partial.o.send rows "send_partial" : memref<?x8xf16>
// NARROW-DAG: rshard.buffer @pool.partial.lse rows "pool_partial" : memref<?x2xf32>
// NARROW-DAG: rshard.buffer @result rows "wanted" : memref<?x16xf32>

// TYPE: error: plan: activations are f8 vs f32, bf16 or f16
// PARTIALS: error: plan: partials are f16 vs f32 or the activations' bf16

func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %z = rshard.add %x, %y : tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x16xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@layer] [0, 0, 0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  %l = rshard.linear %y, %e : (tensor<?x8xf32>, tensor<16x8xf32>) -> tensor<?x16xf32>
  return %l : tensor<?x16xf32>
}
rshard.weight @w "layers.{}.w" layers [0, 3) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
