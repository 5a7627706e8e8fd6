// RUN: rshard-opt %s --split-input-file --convert-rshard-to-cpu=cpu=x86-64-v4 | FileCheck %s
// RUN: rshard-opt %s --split-input-file --convert-rshard-to-cpu=cpu=x86-64-v3 | FileCheck %s --check-prefix=V3

// A block of a layer: the result is made in place of comp.x, with the activation
// and both residuals fused. %h lives in the output from its first write on; %n
// and %m share nothing, as %n is read while %m is written.
// CHECK: module attributes {rshard.weight_slots = [
// CHECK-SAME: {count = 3 : i64, first = 0 : i64, pack = "panel:64:bf16", weights = [@wo]}
// CHECK-SAME: {count = 3 : i64, first = 3 : i64, pack = "vector", weights = [@norm]}
// CHECK-SAME: {count = 3 : i64, first = 6 : i64, pack = "panel:64:f32", weights = [@up]}
// CHECK-SAME: {count = 3 : i64, first = 9 : i64, pack = "panel:64:f32", weights = [@down]}
// CHECK: rshard.buffer @comp.x
// CHECK: rshard.buffer @attended
// CHECK: rshard.buffer @workspace rows "workspace" : memref<?x176xf32>
// CHECK-LABEL: func.func private @block(
// CHECK-SAME: %[[LAYER:.*]]: index, %[[FRAME:.*]]: !rshard.frame,
// CHECK-SAME: %[[X:[^:]*]]: memref<?x40xf32, strided<[40, 1], offset: ?>>,
// CHECK-SAME: %[[O:[^:]*]]: memref<?x64xf32, strided<[64, 1], offset: ?>>,
// CHECK-SAME: %[[Y:[^:]*]]: memref<?x40xf32, strided<[40, 1], offset: ?>>)
// CHECK: %[[ROWS:.*]] = memref.dim %[[Y]]
// CHECK: %[[WORKSPACE:.*]] = rshard.get_buffer %[[FRAME]][@workspace]
// CHECK: %[[FIRST:.*]] = arith.constant 2 : index
// CHECK: %[[SLOT:.*]] = arith.subi %[[LAYER]], %[[FIRST]] : index
// CHECK: %[[WO:.*]] = rshard.get_weight %[[FRAME]], 0[%[[SLOT]]] : memref<1x64x64xbf16>
// CHECK: call @cpu.linear_64x40_bf16_none_residual(%[[O]], %[[WO]], %[[X]], %[[Y]])
// CHECK: %[[N:.*]] = memref.reinterpret_cast %[[WORKSPACE]] to offset: [%{{.*}}], sizes: [%[[ROWS]], 40], strides: [40, 1]
// CHECK: call @cpu.norm_rms_1x40_{{.*}}(%[[Y]], %{{.*}}, %[[N]])
// CHECK: %[[COLUMN:.*]] = arith.constant 48 : index
// CHECK: %[[OFFSET:.*]] = arith.muli %[[COLUMN]], %{{.*}} : index
// CHECK: %[[M:.*]] = memref.reinterpret_cast %[[WORKSPACE]] to offset: [%[[OFFSET]]], sizes: [%[[ROWS]], 120], strides: [120, 1]
// CHECK: %[[UP:.*]] = rshard.get_weight %[[FRAME]], 6[%{{.*}}] : memref<2x40x64xf32>
// CHECK: call @cpu.linear_40x120_f32_silu(%[[N]], %[[UP]], %[[M]])
// CHECK: call @cpu.linear_120x40_f32_none_residual(%[[M]], %{{.*}}, %[[Y]], %[[Y]])
// CHECK-NEXT: return

// CHECK-LABEL: func.func @step(
// CHECK: %[[INPUT:.*]] = memref.cast %{{.*}} : memref<?x40xf32> to memref<?x40xf32, strided<[40, 1], offset: ?>>
// CHECK: call @block(%{{.*}}, %{{.*}}, %[[INPUT]], %{{.*}}, %{{.*}})

// Kernels are threaded, and multiply-adds are explicit.
// CHECK-LABEL: func.func private @cpu.linear_64x40_bf16_none_residual(
// CHECK: scf.parallel
// CHECK: memref.alloca() {alignment = 64 : i64} : memref<48x64xf32>
// CHECK: arith.extf %{{.*}} : vector<64xbf16> to vector<64xf32>
// CHECK: math.fma %{{.*}} : vector<64xf32>
// The ragged panel is masked.
// CHECK: vector.maskedstore

// V3: pack = "panel:16:bf16", weights = [@wo]
// V3: memref<3x64x16xbf16>
// V3-LABEL: func.func private @cpu.linear_64x40_bf16_none_residual(
// V3: math.fma %{{.*}} : vector<16xf32>
rshard.weight @wo "layers.{}.o.weight" layers [2, 5) : tensor<40x64xbf16>
rshard.weight @norm "layers.{}.norm.weight" layers [2, 5) : tensor<40xf32>
rshard.weight @up "layers.{}.up.weight" layers [2, 5) : tensor<120x40xf16>
rshard.weight @down "layers.{}.down.weight" layers [2, 5) : tensor<40x120xf32>
rshard.buffer @comp.x rows "comp" : memref<?x40xf32>
rshard.buffer @attended rows "comp" : memref<?x64xf32>
func.func private @block(%layer: index, %x: tensor<?x40xf32>, %o: tensor<?x4x16xf32>) -> tensor<?x40xf32> {
  %wo = rshard.parameter @wo[%layer] : tensor<40x64xbf16>
  %a = rshard.linear %o, %wo : (tensor<?x4x16xf32>, tensor<40x64xbf16>) -> tensor<?x40xf32>
  %h = rshard.add %x, %a : tensor<?x40xf32>
  %scale = rshard.parameter @norm[%layer] : tensor<40xf32>
  %n = rshard.norm rms %h, %scale eps 1.0e-05 : tensor<?x40xf32>, tensor<40xf32>
  %up = rshard.parameter @up[%layer] : tensor<120x40xf16>
  %m = rshard.linear %n, %up : (tensor<?x40xf32>, tensor<120x40xf16>) -> tensor<?x120xf32>
  %s = rshard.activation silu %m : tensor<?x120xf32>
  %down = rshard.parameter @down[%layer] : tensor<40x120xf32>
  %d = rshard.linear %s, %down : (tensor<?x120xf32>, tensor<40x120xf32>) -> tensor<?x40xf32>
  %y = rshard.add %h, %d : tensor<?x40xf32>
  return %y : tensor<?x40xf32>
}
func.func @step(%frame: !rshard.frame) {
  %layer = arith.constant 2 : index
  %x = rshard.get_buffer %frame[@comp.x] : memref<?x40xf32>
  %o = rshard.get_buffer %frame[@attended] : memref<?x64xf32>
  rshard.launch @block layer %layer of %frame ins(%x, %o) outs(%x) : (memref<?x40xf32>, memref<?x64xf32>) -> (memref<?x40xf32>)
  return
}

// -----

// x is read after y could be written: y is made elsewhere and copied at the end.
// CHECK-LABEL: func.func private @late(
// CHECK-SAME: %[[X:[^:]*]]: memref<?x8xf32, strided<[8, 1], offset: ?>>,
// CHECK-SAME: %[[Y:[^:]*]]: memref<?x8xf32, strided<[8, 1], offset: ?>>,
// CHECK-SAME: %[[Z:[^:]*]]: memref<?x8xf32, strided<[8, 1], offset: ?>>)
// CHECK: %[[T:.*]] = memref.reinterpret_cast
// CHECK: call @cpu.silu_8(%[[X]], %[[T]])
// CHECK: call @cpu.gelu_8(%[[X]], %[[Z]])
// CHECK: call @cpu.copy_8(%[[T]], %[[Y]])
rshard.buffer @x rows "comp" : memref<?x8xf32>
rshard.buffer @z rows "comp" : memref<?x8xf32>
func.func private @late(%layer: index, %x: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %y = rshard.activation silu %x : tensor<?x8xf32>
  %z = rshard.activation gelu %x : tensor<?x8xf32>
  return %y, %z : tensor<?x8xf32>, tensor<?x8xf32>
}
func.func @step(%frame: !rshard.frame) {
  %layer = arith.constant 0 : index
  %x = rshard.get_buffer %frame[@x] : memref<?x8xf32>
  %z = rshard.get_buffer %frame[@z] : memref<?x8xf32>
  rshard.launch @late layer %layer of %frame ins(%x) outs(%x, %z) : (memref<?x8xf32>) -> (memref<?x8xf32>, memref<?x8xf32>)
  return
}

// -----

// What counts is the buffer, not the type of the view: @x is in danger although
// its two views differ in type, and @z is not although it has the type of one.
// CHECK-LABEL: func.func private @views(
// CHECK-SAME: %[[X:[^:]*]]: memref<?x8xf32, strided<[8, 1], offset: ?>>,
// CHECK-SAME: %[[Y:[^:]*]]: memref<?x8xf32, strided<[8, 1], offset: ?>>,
// CHECK-SAME: %[[Z:[^:]*]]: memref<?x8xf32, strided<[8, 1], offset: ?>>)
// CHECK: %[[T:.*]] = memref.reinterpret_cast
// CHECK: call @cpu.silu_8(%[[X]], %[[T]])
// CHECK-NEXT: call @cpu.relu_8(%[[X]], %[[Z]])
// CHECK-NEXT: call @cpu.add_8(%[[X]], %[[Z]], %[[Z]])
// CHECK-NEXT: call @cpu.copy_8(%[[T]], %[[Y]])
// CHECK-NEXT: return
rshard.buffer @x rows "comp" : memref<?x8xf32>
rshard.buffer @z rows "comp" : memref<?x8xf32>
func.func private @views(%layer: index, %x: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %y = rshard.activation silu %x : tensor<?x8xf32>
  %r = rshard.activation relu %x : tensor<?x8xf32>
  %z = rshard.add %x, %r : tensor<?x8xf32>
  return %y, %z : tensor<?x8xf32>, tensor<?x8xf32>
}
func.func @step(%frame: !rshard.frame, %rows: index) {
  %layer = arith.constant 0 : index
  %x = rshard.get_buffer %frame[@x] : memref<?x8xf32>
  %z = rshard.get_buffer %frame[@z] : memref<?x8xf32>
  %begin = memref.subview %x[0, 0] [%rows, 8] [1, 1] : memref<?x8xf32> to memref<?x8xf32, strided<[8, 1]>>
  rshard.launch @views layer %layer of %frame ins(%begin) outs(%x, %z)
    : (memref<?x8xf32, strided<[8, 1]>>) -> (memref<?x8xf32>, memref<?x8xf32>)
  return
}

// -----

// Learned positions accumulate into the token rows; a row that is the same for
// all is added on the way. A table used as rows and as panels has two ranges.
// CHECK: {count = 1 : i64, first = 0 : i64, pack = "rows:f32", weights = [@tokens]}
// CHECK-SAME: {count = 1 : i64, first = 1 : i64, pack = "vector", weights = [@type]}
// CHECK-SAME: {count = 1 : i64, first = 2 : i64, pack = "rows:bf16", weights = [@positions]}
// CHECK-SAME: {count = 1 : i64, first = 3 : i64, pack = "panel:64:f32", weights = [@tokens]}
// CHECK-LABEL: func.func private @embed(
// CHECK: call @cpu.embed_8_f32_constant(
// CHECK: call @cpu.embed_8_bf16_accumulate(
// CHECK: call @cpu.linear_8x11_f32_none(
// CHECK-NEXT: return
rshard.weight @tokens "tokens" : tensor<11x8xf32>
rshard.weight @positions "positions" : tensor<32x8xbf16>
rshard.weight @type "types" rows [0, 1) of 2 : tensor<8xf32>
rshard.table @ids
rshard.table @at
rshard.buffer @logits rows "client" : memref<?x11xf32>
func.func private @embed(%layer: index, %ids: tensor<?xi32>, %at: tensor<?xi32>) -> tensor<?x11xf32> {
  %tokens = rshard.parameter @tokens : tensor<11x8xf32>
  %x = rshard.embedding %ids of %tokens : (tensor<?xi32>, tensor<11x8xf32>) -> tensor<?x8xf32>
  %type = rshard.parameter @type : tensor<8xf32>
  %t = rshard.add_row %x, %type : tensor<?x8xf32>, tensor<8xf32>
  %positions = rshard.parameter @positions : tensor<32x8xbf16>
  %p = rshard.embedding %at of %positions : (tensor<?xi32>, tensor<32x8xbf16>) -> tensor<?x8xf32>
  %s = rshard.add %t, %p : tensor<?x8xf32>
  %y = rshard.linear %s, %tokens : (tensor<?x8xf32>, tensor<11x8xf32>) -> tensor<?x11xf32>
  return %y : tensor<?x11xf32>
}
func.func @step(%frame: !rshard.frame) {
  %layer = arith.constant 0 : index
  %ids = rshard.get_table %frame[@ids] : memref<?xi32>
  %at = rshard.get_table %frame[@at] : memref<?xi32>
  %y = rshard.get_buffer %frame[@logits] : memref<?x11xf32>
  rshard.launch @embed layer %layer of %frame ins(%ids, %at) outs(%y) : (memref<?xi32>, memref<?xi32>) -> (memref<?x11xf32>)
  return
}

// -----

// The driver's own row operations.
// CHECK-LABEL: func.func @step(
// CHECK: call @cpu.gather_32(
// CHECK: call @cpu.append_32(
// CHECK: call @cpu.attention_4x2x16_3e800000(
// CHECK-LABEL: func.func private @cpu.gather_32(
// CHECK: scf.parallel
// CHECK-LABEL: func.func private @cpu.append_32(
// CHECK: scf.parallel
// CHECK-LABEL: func.func private @cpu.attention_4x2x16_3e800000(
// CHECK: scf.if
// CHECK: scf.parallel
// CHECK: scf.parallel
// CHECK-NOT: memref.alloc(
rshard.table @index
rshard.buffer @rows rows "pool_key" : memref<?x32xf32>
rshard.buffer @query rows "pool_query" : memref<?x64xf32>
rshard.buffer @cache rows "cache" : memref<?x32xf32>
rshard.buffer @o rows "pool_partial" : memref<?x64xf32>
rshard.buffer @lse rows "pool_partial" : memref<?x4xf32>
func.func @step(%frame: !rshard.frame) {
  %index = rshard.get_table %frame[@index] : memref<?xi32>
  %rows = rshard.get_buffer %frame[@rows] : memref<?x32xf32>
  %query = rshard.get_buffer %frame[@query] : memref<?x64xf32>
  %cache = rshard.get_buffer %frame[@cache] : memref<?x32xf32>
  %o = rshard.get_buffer %frame[@o] : memref<?x64xf32>
  %lse = rshard.get_buffer %frame[@lse] : memref<?x4xf32>
  %first = arith.constant true
  rshard.gather %cache[%index] into %rows : memref<?x32xf32>, memref<?xi32>, memref<?x32xf32>
  rshard.append_rows %rows[%index] into %cache[%index] : memref<?x32xf32>, memref<?xi32>, memref<?x32xf32>, memref<?xi32>
  rshard.attend %query[%index], %cache, %cache sees [%index, %index] into %o, %lse first %first heads 4 scale 0.25
    : memref<?x64xf32>, memref<?xi32>, memref<?x32xf32>, memref<?x32xf32>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  return
}
