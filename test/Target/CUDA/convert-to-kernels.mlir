// RUN: rshard-opt %s --convert-rshard-to-cuda | FileCheck %s
// RUN: rshard-opt %s --convert-rshard-to-cuda --convert-rshard-frame-to-llvm | FileCheck %s --check-prefix=HOST
// RUN: rshard-opt %s --convert-rshard-to-cuda=linear-schedule=p192 | FileCheck %s --check-prefix=P192
// RUN: not rshard-opt %s --convert-rshard-to-cuda=linear-schedule=small8 2>&1 | FileCheck %s --check-prefix=NAMES
// RUN: sed s/bf16/f32/g %s | not rshard-opt --convert-rshard-to-cuda 2>&1 | FileCheck %s --check-prefix=F32

// F32: error: activations are 'f32' vs bf16 or f16, which cuda code computes in

// P192: rshard.run @kernels::@linear_small
// P192-NOT: @linear_p128
// P192: rshard.run @kernels::@linear_p192
// P192-NOT: @linear_p128
// NAMES: error: linear-schedule is 'small8' vs p128 or p192

// Queries, keys and values are one product of one weight.
// CHECK: module attributes {rshard.weight_slots = [
// CHECK-SAME: {count = 3 : i64, first = 0 : i64, pack = "join:bf16", scale = @scale, weights = [@wq, @wk, @wv]}
// A norm that stays has its own scale.
// CHECK-SAME: {count = 3 : i64, first = 3 : i64, pack = "vector", weights = [@scale]}
// CHECK-SAME: {count = 3 : i64, first = 6 : i64, pack = "rows:bf16", weights = [@wo]}
// CHECK-SAME: {count = 3 : i64, first = 9 : i64, pack = "rows:bf16", scale = @scale, weights = [@wn]}
// CHECK: rshard.buffer @workspace rows "workspace" : memref<?x64xbf16>
// CHECK: rshard.buffer @norm.squares rows "workspace" : memref<?x1xf32>
// CHECK: rshard.buffer @norm.factors rows "workspace" : memref<?x1xf32>

// CHECK-LABEL: func.func private @enter(
// CHECK-SAME: %[[LAYER:.*]]: index, %[[FRAME:.*]]: !rshard.frame, %[[X:[^:]*]]: {{[^%]*}}, %[[P:[^:]*]]: {{[^%]*}}, %[[Q:[^:]*]]: {{[^%]*}}, %[[K:[^:]*]]: {{[^%]*}}, %[[V:[^:]*]]:
// The product of few rows normalises its inputs itself. Its weight holds the scale.
// CHECK: %[[MANY:.*]] = arith.cmpi ugt, %{{.*}}, %c8
// CHECK: scf.if %[[MANY]] {
// CHECK-NEXT: rshard.run @kernels::@norm_rms_1x64_3727c5ac_bf16 of %[[FRAME]](%[[X]], %[[N:.*]]) :
// CHECK-NEXT: }
// CHECK: %[[W:.*]] = rshard.get_weight %[[FRAME]], 0[%[[LAYER]]] : memref<128x64xbf16>
// A kernel for few rows and one for many.
// CHECK: scf.if
// CHECK: rshard.run @kernels::@linear_small{{.*}}_norm_3727c5ac of %[[FRAME]](%[[N]], %[[W]], %[[Q]], %[[K]], %[[V]], %[[X]]) :
// CHECK: } else {
// CHECK: rshard.run @kernels::@linear_p{{[^_]*}}_64x64_32_32_bf16 of %[[FRAME]](%[[N]], %[[W]], %[[Q]], %[[K]], %[[V]], %[[X]]) :
// RoPE in place of the queries and keys, in one launch.
// CHECK: rshard.run @kernels::@rope_4_2x16_bf16 of %[[FRAME]](%[[Q]], %[[K]], %[[P]], %{{.*}}, %[[Q]], %[[K]]) :
// CHECK-LABEL: func.func private @leave(
// CHECK-SAME: %[[LAYER:.*]]: index, %[[FRAME:.*]]: !rshard.frame, %[[A:[^:]*]]: {{[^%]*}}, %[[B:[^:]*]]: {{[^%]*}}, %[[P:[^:]*]]: {{[^%]*}}, %[[AR:[^:]*]]: {{[^%]*}}, %[[BR:[^:]*]]:
// The second reads what the first one gives. That is not made in its output,
// the rows of %b, which are read later.
// CHECK: rshard.run @kernels::@rope_4x16_bf16 of %[[FRAME]](%[[A]], %[[P]], %{{.*}}, %[[W:.*]]) :
// CHECK: rshard.run @kernels::@add_64_bf16 of %[[FRAME]](%[[W]], %[[B]], %[[BR]]) :
// CHECK: rshard.run @kernels::@rope_4x16_bf16 of %[[FRAME]](%[[BR]], %[[P]], %{{.*}}, %[[BR]]) :
// CHECK: rshard.run @kernels::@copy_64_bf16 of %[[FRAME]](%[[W]], %[[AR]]) :
// What else reads a norm's result needs it.
// CHECK-LABEL: func.func private @norms(
// CHECK-SAME: %[[X:[^:]*]]: memref<?x64xbf16{{[^%]*}}%[[Y:[^:]*]]: memref<?x64xbf16{{[^%]*}}%[[Z:[^:]*]]: memref
// CHECK: rshard.run @kernels::@norm_rms_1x64_3727c5ac_scale_bf16 of
// CHECK-NOT: _norm_
// CHECK: %[[B:.*]] = rshard.get_buffer %{{.*}}[@norm.squares] :
// CHECK-NEXT: %[[SQUARES:.*]] = memref.cast %[[B]]
// CHECK: rshard.run @kernels::@linear_{{.*}}_residual of %{{.*}}(%{{.*}}, %{{.*}}, %[[N:.*]], %[[Y]], %[[SQUARES]]) :
// Of many rows, it sums the squares for the norm behind it.
// CHECK: rshard.run @kernels::@linear_p{{.*}}_residual_squares of %{{.*}}(%{{.*}}, %{{.*}}, %[[N]], %[[Y]], %[[SQUARES]]) :
// CHECK: %[[SOME:.*]] = arith.cmpi ugt, %[[ROWS:.*]], %c8
// CHECK: scf.if %[[SOME]] {
// CHECK: %[[MANY:.*]] = arith.cmpi ugt, %[[ROWS]], %c256
// CHECK: scf.if %[[MANY]] {
// CHECK: %[[B:.*]] = rshard.get_buffer %{{.*}}[@norm.squares] :
// CHECK-NEXT: %[[SQUARES:.*]] = memref.cast %[[B]]
// CHECK: %[[B:.*]] = rshard.get_buffer %{{.*}}[@norm.factors] :
// CHECK-NEXT: %[[FACTORS:.*]] = memref.cast %[[B]]
// CHECK-NEXT: rshard.run @kernels::@norm_factors_64_3727c5ac of %{{.*}}(%[[SQUARES]], %[[FACTORS]]) :
// CHECK: } else {
// CHECK-NEXT: rshard.run @kernels::@norm_rms_1x64_3727c5ac_bf16 of %{{.*}}(%[[Y]], %[[N:.*]]) :
// CHECK: %[[B:.*]] = rshard.get_buffer %{{.*}}[@norm.factors] :
// CHECK-NEXT: %[[FACTORS:.*]] = memref.cast %[[B]]
// CHECK: rshard.run @kernels::@linear_small8{{.*}}_residual_norm_3727c5ac of %{{.*}}(%[[N]], %[[W:.*]], %[[Y]], %[[Z]], %[[Y]], %[[FACTORS]]) :
// CHECK: rshard.run @kernels::@linear_s256_64x64_bf16_residual of %{{.*}}(%[[N]], %[[W]], %[[Y]], %[[Z]], %[[Y]], %[[FACTORS]]) :
// CHECK: rshard.run @kernels::@linear_p{{[^_]*}}_64x64_bf16_residual_factors of %{{.*}}(%[[N]], %[[W]], %[[Y]], %[[Z]], %[[Y]], %[[FACTORS]]) :
// CHECK-LABEL: func.func @step(
// CHECK-SAME: %[[FRAME:.*]]: !rshard.frame
// CHECK: call @enter(
// Keys and values that are copied by the same lists are one launch.
// CHECK: rshard.run @kernels::@append_32x2_bf16 of %[[FRAME]](%[[K:.*]], %[[V:.*]], %[[I:.*]], %[[KC:.*]], %[[VC:.*]], %[[J:.*]]) :
// CHECK-NOT: append_32x2
// CHECK-COUNT-5: rshard.run @kernels::@append_32_bf16 of %[[FRAME]](
// CHECK-NOT: rshard.run
// CHECK: gpu.module @kernels

// Arguments are pairs of an address and a number of rows on the function's stack.
// HOST-LABEL: func.func private @enter(
// HOST: %[[LIST:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(ptr, i64)>
// HOST: llvm.getelementptr %[[LIST]][0, 0]
// HOST: llvm.getelementptr %[[LIST]][0, 1]
// HOST: call @rshard_run(%{{.*}}, %{{.*}}, %[[LIST]], %{{.*}}) : (!llvm.ptr, i32, !llvm.ptr, i32) -> ()
// HOST-NOT: gpu.module

rshard.weight @scale "layers.{}.norm" layers [0, 3) : tensor<64xf32>
rshard.weight @wq "layers.{}.q" layers [0, 3) : tensor<64x64xf32>
rshard.weight @wk "layers.{}.k" layers [0, 3) : tensor<32x64xf32>
rshard.weight @wv "layers.{}.v" layers [0, 3) : tensor<32x64xf32>
rshard.weight @wo "layers.{}.o" layers [0, 3) : tensor<64x64xf32>
rshard.weight @wn "layers.{}.n" layers [0, 3) : tensor<64x64xf32>
rshard.rotary @rope [1.0, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001, 0.0000001] scale 1.0
rshard.buffer @rotary.rope rows "positions" : memref<?x16xf32>
rshard.buffer @comp.x rows "comp" : memref<?x64xbf16>
rshard.buffer @pool.query rows "pool_query" : memref<?x64xbf16>
rshard.buffer @pool.other rows "pool_query" : memref<?x64xbf16>
rshard.buffer @pool.key rows "pool_key" : memref<?x32xbf16>
rshard.buffer @pool.value rows "pool_key" : memref<?x32xbf16>
rshard.buffer @cache.key rows "cache" : memref<?x32xbf16>
rshard.buffer @cache.value rows "cache" : memref<?x32xbf16>
rshard.table @comp.position
rshard.table @append.source
rshard.table @append.row
func.func private @enter(%layer: index, %x: tensor<?x64xbf16>, %p: tensor<?xi32>) -> (tensor<?x4x16xbf16>, tensor<?x2x16xbf16>, tensor<?x2x16xbf16>) {
  %s = rshard.parameter @scale[%layer] : tensor<64xf32>
  %wq = rshard.parameter @wq[%layer] : tensor<64x64xf32>
  %wk = rshard.parameter @wk[%layer] : tensor<32x64xf32>
  %wv = rshard.parameter @wv[%layer] : tensor<32x64xf32>
  %y = rshard.norm rms %x, %s eps 1.0e-05 : tensor<?x64xbf16>, tensor<64xf32>
  %q = rshard.linear %y, %wq : (tensor<?x64xbf16>, tensor<64x64xf32>) -> tensor<?x4x16xbf16>
  %qr = rshard.rope %q at %p by @rope : tensor<?x4x16xbf16>, tensor<?xi32>
  %k = rshard.linear %y, %wk : (tensor<?x64xbf16>, tensor<32x64xf32>) -> tensor<?x2x16xbf16>
  %v = rshard.linear %y, %wv : (tensor<?x64xbf16>, tensor<32x64xf32>) -> tensor<?x2x16xbf16>
  %kr = rshard.rope %k at %p by @rope : tensor<?x2x16xbf16>, tensor<?xi32>
  return %qr, %kr, %v : tensor<?x4x16xbf16>, tensor<?x2x16xbf16>, tensor<?x2x16xbf16>
}
func.func private @leave(%layer: index, %a: tensor<?x4x16xbf16>, %b: tensor<?x4x16xbf16>, %p: tensor<?xi32>) -> (tensor<?x4x16xbf16>, tensor<?x4x16xbf16>) {
  %ar = rshard.rope %a at %p by @rope : tensor<?x4x16xbf16>, tensor<?xi32>
  %s = rshard.add %ar, %b : tensor<?x4x16xbf16>
  %br = rshard.rope %s at %p by @rope : tensor<?x4x16xbf16>, tensor<?xi32>
  return %ar, %br : tensor<?x4x16xbf16>, tensor<?x4x16xbf16>
}
func.func private @norms(%layer: index, %x: tensor<?x64xbf16>) -> (tensor<?x64xbf16>, tensor<?x64xbf16>) {
  %s = rshard.parameter @scale[%layer] : tensor<64xf32>
  %wo = rshard.parameter @wo[%layer] : tensor<64x64xf32>
  %wn = rshard.parameter @wn[%layer] : tensor<64x64xf32>
  %n = rshard.norm rms %x, %s eps 1.0e-05 : tensor<?x64xbf16>, tensor<64xf32>
  %a = rshard.linear %n, %wo : (tensor<?x64xbf16>, tensor<64x64xf32>) -> tensor<?x64xbf16>
  %b = rshard.add %a, %n : tensor<?x64xbf16>
  %m = rshard.norm rms %b, %s eps 1.0e-05 : tensor<?x64xbf16>, tensor<64xf32>
  %c = rshard.linear %m, %wn : (tensor<?x64xbf16>, tensor<64x64xf32>) -> tensor<?x64xbf16>
  %d = rshard.add %b, %c : tensor<?x64xbf16>
  return %b, %d : tensor<?x64xbf16>, tensor<?x64xbf16>
}
func.func @step(%frame: !rshard.frame) {
  %c2 = arith.constant 2 : index
  %0 = rshard.get_buffer %frame[@comp.x] : memref<?x64xbf16>
  %1 = rshard.get_buffer %frame[@pool.query] : memref<?x64xbf16>
  %2 = rshard.get_buffer %frame[@pool.other] : memref<?x64xbf16>
  rshard.launch @norms layer %c2 of %frame ins(%0) outs(%1, %2) : (memref<?x64xbf16>) -> (memref<?x64xbf16>, memref<?x64xbf16>)
  %x = rshard.get_buffer %frame[@comp.x] : memref<?x64xbf16>
  %q = rshard.get_buffer %frame[@pool.query] : memref<?x64xbf16>
  %k = rshard.get_buffer %frame[@pool.key] : memref<?x32xbf16>
  %v = rshard.get_buffer %frame[@pool.value] : memref<?x32xbf16>
  %p = rshard.get_table %frame[@comp.position] : memref<?xi32>
  rshard.launch @enter layer %c2 of %frame ins(%x, %p) outs(%q, %k, %v) : (memref<?x64xbf16>, memref<?xi32>) -> (memref<?x64xbf16>, memref<?x32xbf16>, memref<?x32xbf16>)
  %y = rshard.get_buffer %frame[@pool.other] : memref<?x64xbf16>
  rshard.launch @leave layer %c2 of %frame ins(%x, %q, %p) outs(%q, %y) : (memref<?x64xbf16>, memref<?x64xbf16>, memref<?xi32>) -> (memref<?x64xbf16>, memref<?x64xbf16>)
  %source = rshard.get_table %frame[@append.source] : memref<?xi32>
  %row = rshard.get_table %frame[@append.row] : memref<?xi32>
  %kc = rshard.get_buffer %frame[@cache.key] : memref<?x32xbf16>
  %vc = rshard.get_buffer %frame[@cache.value] : memref<?x32xbf16>
  rshard.append_rows %k[%source] into %kc[%row] : memref<?x32xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?xi32>
  rshard.append_rows %v[%source] into %vc[%row] : memref<?x32xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?xi32>
  // By other lists; behind something that writes; of what the first one writes;
  // to where it writes.
  rshard.append_rows %k[%source] into %kc[%row] : memref<?x32xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?xi32>
  rshard.append_rows %v[%row] into %vc[%source] : memref<?x32xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?xi32>
  rshard.append_rows %v[%source] into %vc[%row] : memref<?x32xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?xi32>
  rshard.append_rows %vc[%source] into %kc[%row] : memref<?x32xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?xi32>
  rshard.append_rows %k[%source] into %kc[%row] : memref<?x32xbf16>, memref<?xi32>, memref<?x32xbf16>, memref<?xi32>
  return
}
