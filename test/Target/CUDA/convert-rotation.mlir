// RUN: rshard-opt %s --convert-rshard-to-cuda | FileCheck %s

// Heads of 64: products of many rows rotate queries and keys themselves; those of few leave it to a kernel behind them.
// CHECK-LABEL: func.func private @enter(
// CHECK-SAME: %{{[^%]*}} %[[FRAME:[^:]*]]: !rshard.frame, %[[X:[^:]*]]: {{[^%]*}}, %[[P:[^:]*]]: {{[^%]*}}, %[[Q:[^:]*]]: {{[^%]*}}, %[[K:[^:]*]]: {{[^%]*}}, %[[V:[^:]*]]:
// CHECK: %[[W:.*]] = rshard.get_weight
// CHECK: %[[ANGLES:.*]] = memref.cast
// CHECK: scf.if
// CHECK-NEXT: rshard.run @kernels::@linear_small8_128x128_64_64_bf16 of %[[FRAME]](%[[X]], %[[W]], %[[Q]], %[[K]], %[[V]]) :
// CHECK-NEXT: rshard.run @kernels::@rope_2_1x64_bf16 of %[[FRAME]](%[[Q]], %[[K]], %[[P]], %[[ANGLES]], %[[Q]], %[[K]]) :
// CHECK: rshard.run @kernels::@linear_p128_128x128_64_64_bf16_rope_3x64 of %[[FRAME]](%[[X]], %[[W]], %[[P]], %[[ANGLES]], %[[Q]], %[[K]], %[[V]]) :
// CHECK-NOT: rope
// CHECK: return

// Not if the product is needed as it is.
// CHECK-LABEL: func.func private @both(
// CHECK-NOT: bf16_rope
// CHECK: rshard.run @kernels::@rope_2x64_bf16
// CHECK: return

rshard.weight @wq "layers.{}.q" layers [0, 3) : tensor<128x128xf32>
rshard.weight @wk "layers.{}.k" layers [0, 3) : tensor<64x128xf32>
rshard.weight @wv "layers.{}.v" layers [0, 3) : tensor<64x128xf32>
rshard.rotary @rope [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.29, 0.28, 0.27, 0.26, 0.25, 0.24, 0.23, 0.22,
                     0.21, 0.2, 0.19, 0.18, 0.17, 0.16, 0.15, 0.14, 0.13, 0.12, 0.11, 0.1, 0.09, 0.08, 0.07, 0.06] scale 1.0
rshard.buffer @rotary.rope rows "positions" : memref<?x64xf32>
rshard.buffer @comp.x rows "comp" : memref<?x128xbf16>
rshard.buffer @pool.query rows "pool_query" : memref<?x128xbf16>
rshard.buffer @pool.other rows "pool_query" : memref<?x128xbf16>
rshard.buffer @pool.key rows "pool_key" : memref<?x64xbf16>
rshard.buffer @pool.value rows "pool_key" : memref<?x64xbf16>
rshard.table @comp.position
func.func private @enter(%layer: index, %x: tensor<?x128xbf16>, %p: tensor<?xi32>) -> (tensor<?x2x64xbf16>, tensor<?x1x64xbf16>, tensor<?x1x64xbf16>) {
  %wq = rshard.parameter @wq[%layer] : tensor<128x128xf32>
  %wk = rshard.parameter @wk[%layer] : tensor<64x128xf32>
  %wv = rshard.parameter @wv[%layer] : tensor<64x128xf32>
  %q = rshard.linear %x, %wq : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x2x64xbf16>
  %k = rshard.linear %x, %wk : (tensor<?x128xbf16>, tensor<64x128xf32>) -> tensor<?x1x64xbf16>
  %v = rshard.linear %x, %wv : (tensor<?x128xbf16>, tensor<64x128xf32>) -> tensor<?x1x64xbf16>
  %qr = rshard.rope %q at %p by @rope : tensor<?x2x64xbf16>, tensor<?xi32>
  %kr = rshard.rope %k at %p by @rope : tensor<?x1x64xbf16>, tensor<?xi32>
  return %qr, %kr, %v : tensor<?x2x64xbf16>, tensor<?x1x64xbf16>, tensor<?x1x64xbf16>
}
func.func private @both(%layer: index, %x: tensor<?x128xbf16>, %p: tensor<?xi32>) -> (tensor<?x2x64xbf16>, tensor<?x2x64xbf16>) {
  %wq = rshard.parameter @wq[%layer] : tensor<128x128xf32>
  %q = rshard.linear %x, %wq : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x2x64xbf16>
  %qr = rshard.rope %q at %p by @rope : tensor<?x2x64xbf16>, tensor<?xi32>
  return %q, %qr : tensor<?x2x64xbf16>, tensor<?x2x64xbf16>
}
func.func @step(%frame: !rshard.frame) {
  %c2 = arith.constant 2 : index
  %x = rshard.get_buffer %frame[@comp.x] : memref<?x128xbf16>
  %q = rshard.get_buffer %frame[@pool.query] : memref<?x128xbf16>
  %y = rshard.get_buffer %frame[@pool.other] : memref<?x128xbf16>
  %k = rshard.get_buffer %frame[@pool.key] : memref<?x64xbf16>
  %v = rshard.get_buffer %frame[@pool.value] : memref<?x64xbf16>
  %p = rshard.get_table %frame[@comp.position] : memref<?xi32>
  rshard.launch @enter layer %c2 of %frame ins(%x, %p) outs(%q, %k, %v) : (memref<?x128xbf16>, memref<?xi32>) -> (memref<?x128xbf16>, memref<?x64xbf16>, memref<?x64xbf16>)
  rshard.launch @both layer %c2 of %frame ins(%x, %p) outs(%q, %y) : (memref<?x128xbf16>, memref<?xi32>) -> (memref<?x128xbf16>, memref<?x128xbf16>)
  return
}
