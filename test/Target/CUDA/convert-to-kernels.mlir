// RUN: rshard-opt %s --convert-rshard-to-cuda | FileCheck %s
// RUN: rshard-opt %s --convert-rshard-to-cuda --convert-rshard-frame-to-llvm | FileCheck %s --check-prefix=HOST
// RUN: sed s/bf16/f32/g %s | not rshard-opt --convert-rshard-to-cuda 2>&1 | FileCheck %s --check-prefix=F32

// F32: error: activations are 'f32' vs bf16 or f16, which cuda code computes in

// Queries, keys and values are one product of one weight.
// CHECK: module attributes {rshard.weight_slots = [
// CHECK-SAME: {count = 3 : i64, first = 0 : i64, pack = "vector", weights = [@scale]}
// CHECK-SAME: {count = 3 : i64, first = 3 : i64, pack = "join:bf16", weights = [@wq, @wk, @wv]}
// CHECK: rshard.buffer @workspace rows "workspace" : memref<?x64xbf16>

// CHECK-LABEL: func.func private @enter(
// CHECK-SAME: %[[LAYER:.*]]: index, %[[FRAME:.*]]: !rshard.frame, %[[X:[^:]*]]: {{[^%]*}}, %[[P:[^:]*]]: {{[^%]*}}, %[[Q:[^:]*]]: {{[^%]*}}, %[[K:[^:]*]]: {{[^%]*}}, %[[V:[^:]*]]:
// CHECK: %[[SCALE:.*]] = rshard.get_weight %[[FRAME]], 0[%[[LAYER]]] : memref<64xf32>
// CHECK: rshard.run @kernels::@norm_rms_1x64_3727c5ac_bf16 of %[[FRAME]](%[[X]], %[[SCALE]], %[[N:.*]]) :
// CHECK: %[[W:.*]] = rshard.get_weight %[[FRAME]], 3[%[[LAYER]]] : memref<128x64xbf16>
// A kernel for few rows and one for many.
// CHECK: scf.if
// CHECK: rshard.run @kernels::@linear_small{{.*}} of %[[FRAME]](%[[N]], %[[W]], %[[Q]], %[[K]], %[[V]]) :
// CHECK: } else {
// CHECK: rshard.run @kernels::@linear_{{[pc].*}} of %[[FRAME]](%[[N]], %[[W]], %[[Q]], %[[K]], %[[V]]) :
// RoPE in place of the queries.
// CHECK: rshard.run @kernels::@rope_4x16_bf16 of %[[FRAME]](%[[Q]], %[[P]], %{{.*}}, %[[Q]]) :
// CHECK-LABEL: func.func @step(
// CHECK: call @enter(
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
rshard.rotary @rope [1.0, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001, 0.0000001] scale 1.0
rshard.buffer @rotary.rope rows "positions" : memref<?x16xf32>
rshard.buffer @comp.x rows "comp" : memref<?x64xbf16>
rshard.buffer @pool.query rows "pool_query" : memref<?x64xbf16>
rshard.buffer @pool.key rows "pool_key" : memref<?x32xbf16>
rshard.buffer @pool.value rows "pool_key" : memref<?x32xbf16>
rshard.table @comp.position
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
  return %qr, %k, %v : tensor<?x4x16xbf16>, tensor<?x2x16xbf16>, tensor<?x2x16xbf16>
}
func.func @step(%frame: !rshard.frame) {
  %c2 = arith.constant 2 : index
  %x = rshard.get_buffer %frame[@comp.x] : memref<?x64xbf16>
  %q = rshard.get_buffer %frame[@pool.query] : memref<?x64xbf16>
  %k = rshard.get_buffer %frame[@pool.key] : memref<?x32xbf16>
  %v = rshard.get_buffer %frame[@pool.value] : memref<?x32xbf16>
  %p = rshard.get_table %frame[@comp.position] : memref<?xi32>
  rshard.launch @enter layer %c2 of %frame ins(%x, %p) outs(%q, %k, %v) : (memref<?x64xbf16>, memref<?xi32>) -> (memref<?x64xbf16>, memref<?x32xbf16>, memref<?x32xbf16>)
  return
}
