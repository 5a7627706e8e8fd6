// RUN: rshard-opt %s --convert-rshard-to-cuda | FileCheck %s

// The kernels of a few rows read the queries where they are; those of many read rows that the first cell of a grid row
// has gathered for all of them.

rshard.buffer @comp.x rows "comp" : memref<?x64xbf16>
rshard.buffer @pool.query rows "pool_query" : memref<?x64xbf16>
rshard.buffer @cache.key rows "cache" : memref<?x32xbf16>
rshard.buffer @cache.value rows "cache" : memref<?x32xbf16>
rshard.buffer @results.o rows "results" : memref<?x64xf32>
rshard.buffer @results.lse rows "results" : memref<?x4xf32>
rshard.table @attend.source
rshard.table @reach.first
rshard.table @reach.last

// CHECK: rshard.buffer @attention.partials rows "rank"
// CHECK: rshard.buffer @attention.counters rows "rank"
// CHECK: rshard.buffer @gathered.results.o rows "results" : memref<?x64xbf16>

// CHECK-LABEL: func.func @step(
// CHECK-SAME: %[[FRAME:.*]]: !rshard.frame, %[[FIRST:.*]]: i1
// CHECK: %[[POOL:.*]] = rshard.get_buffer %[[FRAME]][@pool.query]
// CHECK: %[[SOURCE:.*]] = rshard.get_table %[[FRAME]][@attend.source]
// CHECK: %[[GATHERED:.*]] = rshard.get_buffer %[[FRAME]][@gathered.results.o]
// CHECK: %[[MANY:.*]] = arith.cmpi ugt, %{{.*}}, %c16
// CHECK: %[[GATHERS:.*]] = arith.andi %[[FIRST]], %[[MANY]]
// CHECK: scf.if %[[GATHERS]] {
// CHECK-NOT: }
// CHECK: rshard.run @kernels::@gather_64_bf16 of
// CHECK: }
// CHECK: %[[Q:.*]] = memref.cast %[[GATHERED]]
// CHECK: %[[P:.*]] = memref.cast %[[POOL]]
// CHECK: %[[S:.*]] = memref.cast %[[SOURCE]]
// CHECK: rshard.run @kernels::@decode_attention_8_4x2x16_3e800000_bf16_f32 of %[[FRAME]](%[[Q]], {{.*}}, %[[P]], %[[S]]) :
// CHECK: rshard.run @kernels::@decode_attention_16_4x2x16_3e800000_bf16_f32
// CHECK: rshard.run @kernels::@attention_4x2x16_3e800000_bf16_f32
// CHECK: rshard.run @kernels::@decode_attention_8_4x2x16_3e800000_cap_42480000_bf16_f32
// CHECK: rshard.run @kernels::@attention_4x2x16_3e800000_cap_42480000_bf16_f32
func.func @step(%frame: !rshard.frame, %first: i1) {
  %q = rshard.get_buffer %frame[@pool.query] : memref<?x64xbf16>
  %k = rshard.get_buffer %frame[@cache.key] : memref<?x32xbf16>
  %v = rshard.get_buffer %frame[@cache.value] : memref<?x32xbf16>
  %o = rshard.get_buffer %frame[@results.o] : memref<?x64xf32>
  %lse = rshard.get_buffer %frame[@results.lse] : memref<?x4xf32>
  %source = rshard.get_table %frame[@attend.source] : memref<?xi32>
  %from = rshard.get_table %frame[@reach.first] : memref<?xi32>
  %to = rshard.get_table %frame[@reach.last] : memref<?xi32>
  rshard.attend %q[%source], %k, %v sees [%from, %to] into %o, %lse first %first heads 4 scale 0.25
    : memref<?x64xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?x32xbf16>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  rshard.attend %q[%source], %k, %v sees[%from, %to] into %o, %lse first %first heads 4 scale 0.25 soft_cap 50.0
    : memref<?x64xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?x32xbf16>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  return
}

// Rows that are in order are read in place by all.
// CHECK-LABEL: func.func @ordered(
// CHECK: %[[POOL:.*]] = rshard.get_buffer %{{.*}}[@pool.query]
// CHECK: %[[SOURCE:.*]] = rshard.get_table %{{.*}}[@attend.source]
// CHECK-NOT: gather
// CHECK: %[[N:.*]] = memref.dim %[[SOURCE]]
// CHECK: %[[ROWS:.*]] = memref.subview %[[POOL]][0, 0] [%[[N]], 64] [1, 1]
// CHECK: %[[Q:.*]] = memref.cast %[[ROWS]]
// CHECK-NOT: gather
// CHECK: rshard.run @kernels::@attention_4x2x16_3e800000_bf16_f32 of %{{.*}}(%[[Q]],
func.func @ordered(%frame: !rshard.frame, %first: i1) {
  %q = rshard.get_buffer %frame[@pool.query] : memref<?x64xbf16>
  %k = rshard.get_buffer %frame[@cache.key] : memref<?x32xbf16>
  %v = rshard.get_buffer %frame[@cache.value] : memref<?x32xbf16>
  %o = rshard.get_buffer %frame[@results.o] : memref<?x64xf32>
  %lse = rshard.get_buffer %frame[@results.lse] : memref<?x4xf32>
  %source = rshard.get_table %frame[@attend.source] : memref<?xi32>
  %from = rshard.get_table %frame[@reach.first] : memref<?xi32>
  %to = rshard.get_table %frame[@reach.last] : memref<?xi32>
  rshard.attend %q[%source] inOrder, %k, %v sees [%from, %to] into %o, %lse first %first heads 4 scale 0.25
    : memref<?x64xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?x32xbf16>, memref<?xi32>, memref<?xi32>, memref<?x64xf32>, memref<?x4xf32>
  return
}

// The queries' pool and list are the kernel's first and tenth parameters.
// CHECK-LABEL: llvm.func @decode_attention_8_4x2x16_3e800000_bf16_f32
// CHECK-SAME: parameters[#rshard.pointer<10>, #rshard.pointer<1>, {{.*}}, #rshard.pointer<11>, #rshard.rows<0>, #rshard.scalar<9>]
