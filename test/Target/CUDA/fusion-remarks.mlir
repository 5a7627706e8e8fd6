// RUN: rshard-opt %s --convert-rshard-to-cuda --remarks-filter="segment" -o /dev/null 2>&1 | FileCheck %s

// Norms, rotations and merges that products do without, and why others are kernels of their own.

rshard.weight @scale "scale" : tensor<128xf32>
rshard.weight @w "w" : tensor<128x128xf32>
rshard.weight @w2 "w2" : tensor<128x128xf32>
rshard.weight @own "own" : tensor<128x128xf32>
rshard.weight @next "next" : tensor<128x128xf32>
rshard.weight @chain1 "chain1" : tensor<128x128xf32>
rshard.weight @chain2 "chain2" : tensor<128x128xf32>
rshard.weight @once1 "once1" : tensor<128x128xf32>
rshard.weight @once2 "once2" : tensor<128x128xf32>
rshard.weight @b "b" : tensor<128xf32>
rshard.rotary @r64 [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.29, 0.28, 0.27, 0.26, 0.25, 0.24, 0.23, 0.22,
                    0.21, 0.2, 0.19, 0.18, 0.17, 0.16, 0.15, 0.14, 0.13, 0.12, 0.11, 0.1, 0.09, 0.08, 0.07, 0.06] scale 1.0
rshard.rotary @r8 [1.0, 0.9, 0.8, 0.7] scale 1.0
rshard.buffer @rotary.r64 rows "positions" : memref<?x64xf32>
rshard.buffer @rotary.r8 rows "positions" : memref<?x8xf32>
rshard.buffer @comp.x rows "comp" : memref<?x128xbf16>
rshard.buffer @pool.query rows "pool_query" : memref<?x128xbf16>
rshard.buffer @pool.other rows "pool_query" : memref<?x128xbf16>
rshard.buffer @pool.partial.o rows "pool_partial" : memref<?x128xf32>
rshard.buffer @pool.partial.lse rows "pool_partial" : memref<?x2xf32>
rshard.table @comp.position
rshard.table @merge0.begin
rshard.table @merge0.source

func.func private @taken(%layer: index, %x: tensor<?x128xbf16>, %p: tensor<?xi32>) -> tensor<?x2x64xbf16> {
  %s = rshard.parameter @scale : tensor<128xf32>
  %w = rshard.parameter @own : tensor<128x128xf32>
  // CHECK-DAG: [[#@LINE + 2]]:{{.*}}: remark: [Passed] leave-norm {{.*}}Function=taken | Reason="products of few rows compute it themselves"
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] pass-factors {{.*}}Function=taken | Reason="no product makes its rows"
  %n = rshard.norm rms %x, %s eps 1.0e-05 : tensor<?x128xbf16>, tensor<128xf32>
  %q = rshard.linear %n, %w : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x2x64xbf16>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Passed] fuse {{.*}}Function=taken | Kernel="rshard.linear + rshard.rope"
  %r = rshard.rope %q at %p by @r64 : tensor<?x2x64xbf16>, tensor<?xi32>
  return %r : tensor<?x2x64xbf16>
}

func.func private @shared(%layer: index, %x: tensor<?x128xbf16>) -> tensor<?x128xbf16> {
  %s = rshard.parameter @scale : tensor<128xf32>
  %w = rshard.parameter @w : tensor<128x128xf32>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] leave-norm {{.*}}Function=shared | Reason="the products' weights cannot hold its scale"
  %n = rshard.norm rms %x, %s eps 1.0e-05 : tensor<?x128xbf16>, tensor<128xf32>
  %q = rshard.linear %n, %w : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x128xbf16>
  return %q : tensor<?x128xbf16>
}

func.func private @passed(%layer: index, %x: tensor<?x128xbf16>) -> (tensor<?x128xbf16>, tensor<?x128xbf16>) {
  %s = rshard.parameter @scale : tensor<128xf32>
  %w = rshard.parameter @w : tensor<128x128xf32>
  %next = rshard.parameter @next : tensor<128x128xf32>
  %y = rshard.linear %x, %w : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x128xbf16>
  %a = rshard.add %x, %y : tensor<?x128xbf16>
  // CHECK-DAG: [[#@LINE + 2]]:{{.*}}: remark: [Passed] leave-norm {{.*}}Function=passed | Reason="products of few rows compute it themselves"
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Passed] pass-factors {{.*}}Function=passed | Reason="the product that makes its rows sums their squares, and products of many rows apply its factors"
  %n = rshard.norm rms %a, %s eps 1.0e-05 : tensor<?x128xbf16>, tensor<128xf32>
  %q = rshard.linear %n, %next : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x128xbf16>
  return %a, %q : tensor<?x128xbf16>, tensor<?x128xbf16>
}

// A product between two norms applies factors and sums squares.
func.func private @chain(%layer: index, %x: tensor<?x128xbf16>) -> (tensor<?x128xbf16>, tensor<?x128xbf16>) {
  %s = rshard.parameter @scale : tensor<128xf32>
  %w = rshard.parameter @w : tensor<128x128xf32>
  %c1 = rshard.parameter @chain1 : tensor<128x128xf32>
  %c2 = rshard.parameter @chain2 : tensor<128x128xf32>
  %y = rshard.linear %x, %w : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x128xbf16>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Passed] pass-factors {{.*}}Function=chain
  %n = rshard.norm rms %y, %s eps 1.0e-05 : tensor<?x128xbf16>, tensor<128xf32>
  %z = rshard.linear %n, %c1 : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x128xbf16>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Passed] pass-factors {{.*}}Function=chain
  %m = rshard.norm rms %z, %s eps 1.0e-05 : tensor<?x128xbf16>, tensor<128xf32>
  %q = rshard.linear %m, %c2 : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x128xbf16>
  return %z, %q : tensor<?x128xbf16>, tensor<?x128xbf16>
}

// The second norm's squares would be summed before the first one's factors are read.
func.func private @at_once(%layer: index, %x: tensor<?x128xbf16>) -> (tensor<?x128xbf16>, tensor<?x128xbf16>) {
  %s = rshard.parameter @scale : tensor<128xf32>
  %w = rshard.parameter @w : tensor<128x128xf32>
  %w2 = rshard.parameter @w2 : tensor<128x128xf32>
  %c1 = rshard.parameter @once1 : tensor<128x128xf32>
  %c2 = rshard.parameter @once2 : tensor<128x128xf32>
  %y = rshard.linear %x, %w : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x128xbf16>
  %ya = rshard.add %x, %y : tensor<?x128xbf16>
  %z = rshard.linear %x, %w2 : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x128xbf16>
  %za = rshard.add %x, %z : tensor<?x128xbf16>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Passed] pass-factors {{.*}}Function=at_once
  %n = rshard.norm rms %ya, %s eps 1.0e-05 : tensor<?x128xbf16>, tensor<128xf32>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] pass-factors {{.*}}Function=at_once | Reason="others' squares are still needed there"
  %m = rshard.norm rms %za, %s eps 1.0e-05 : tensor<?x128xbf16>, tensor<128xf32>
  %p = rshard.linear %n, %c1 : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x128xbf16>
  %q = rshard.linear %m, %c2 : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x128xbf16>
  return %p, %q : tensor<?x128xbf16>, tensor<?x128xbf16>
}

func.func private @layernorm(%layer: index, %x: tensor<?x128xbf16>, %p: tensor<?xi32>) -> tensor<?x2x64xbf16> {
  %s = rshard.parameter @scale : tensor<128xf32>
  %b = rshard.parameter @b : tensor<128xf32>
  %w = rshard.parameter @w : tensor<128x128xf32>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] leave-norm {{.*}}Function=layernorm | Reason="no product has a kernel for it"
  %n = rshard.norm layer %x, %s bias %b eps 1.0e-05 : tensor<?x128xbf16>, tensor<128xf32>, tensor<128xf32>
  %q = rshard.linear %n, %w bias %b : (tensor<?x128xbf16>, tensor<128x128xf32>, tensor<128xf32>) -> tensor<?x2x64xbf16>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] rotate {{.*}}Function=layernorm | Reason="the product has a bias"
  %r = rshard.rope %q at %p by @r64 : tensor<?x2x64xbf16>, tensor<?xi32>
  return %r : tensor<?x2x64xbf16>
}

func.func private @head_norm(%layer: index, %x: tensor<?x128xbf16>, %p: tensor<?xi32>) -> (tensor<?x128xbf16>, tensor<?x16x8xbf16>) {
  %s = rshard.parameter @scale : tensor<128xf32>
  %w = rshard.parameter @w : tensor<128x128xf32>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] leave-norm {{.*}}Function=head_norm | Reason="something else than products reads its result"
  %n = rshard.norm rms %x, %s eps 1.0e-05 : tensor<?x128xbf16>, tensor<128xf32>
  %q = rshard.linear %n, %w : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x16x8xbf16>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] rotate {{.*}}Function=head_norm | Reason="no product has a kernel for heads of this size"
  %r = rshard.rope %q at %p by @r8 : tensor<?x16x8xbf16>, tensor<?xi32>
  return %n, %r : tensor<?x128xbf16>, tensor<?x16x8xbf16>
}

func.func private @apart(%layer: index, %x: tensor<?x2x64xbf16>, %p: tensor<?xi32>) -> tensor<?x2x64xbf16> {
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] rotate {{.*}}Function=apart | Reason="no product makes the rows"
  %r = rshard.rope %x at %p by @r64 : tensor<?x2x64xbf16>, tensor<?xi32>
  return %r : tensor<?x2x64xbf16>
}

func.func private @both(%layer: index, %x: tensor<?x128xbf16>, %p: tensor<?xi32>) -> (tensor<?x2x64xbf16>, tensor<?x2x64xbf16>) {
  %w = rshard.parameter @w : tensor<128x128xf32>
  %q = rshard.linear %x, %w : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x2x64xbf16>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] rotate {{.*}}Function=both | Reason="something else reads the product's results"
  %r = rshard.rope %q at %p by @r64 : tensor<?x2x64xbf16>, tensor<?xi32>
  return %q, %r : tensor<?x2x64xbf16>, tensor<?x2x64xbf16>
}

func.func private @activated(%layer: index, %x: tensor<?x128xbf16>, %p: tensor<?xi32>) -> tensor<?x2x64xbf16> {
  %w = rshard.parameter @w : tensor<128x128xf32>
  %q = rshard.linear %x, %w : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x2x64xbf16>
  %a = rshard.activation silu %q : tensor<?x2x64xbf16>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] rotate {{.*}}Function=activated | Reason="the product's results are more than sums"
  %r = rshard.rope %a at %p by @r64 : tensor<?x2x64xbf16>, tensor<?xi32>
  return %r : tensor<?x2x64xbf16>
}

func.func private @two_products(%layer: index, %x: tensor<?x128xbf16>, %y: tensor<?x128xbf16>, %p: tensor<?xi32>) -> (tensor<?x2x64xbf16>, tensor<?x2x64xbf16>) {
  %w = rshard.parameter @w : tensor<128x128xf32>
  %q = rshard.linear %x, %w : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x2x64xbf16>
  %k = rshard.linear %y, %w : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x2x64xbf16>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] rotate {{.*}}Function=two_products | Reason="rows of other products are rotated with them"
  %rq = rshard.rope %q at %p by @r64 : tensor<?x2x64xbf16>, tensor<?xi32>
  %rk = rshard.rope %k at %p by @r64 : tensor<?x2x64xbf16>, tensor<?xi32>
  return %rq, %rk : tensor<?x2x64xbf16>, tensor<?x2x64xbf16>
}

func.func private @second(%layer: index, %x: tensor<?x128xbf16>, %p: tensor<?xi32>) -> (tensor<?x2x64xbf16>, tensor<?x2x64xbf16>) {
  %w = rshard.parameter @w : tensor<128x128xf32>
  %w2 = rshard.parameter @w2 : tensor<128x128xf32>
  %q = rshard.linear %x, %w : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x2x64xbf16>
  %k = rshard.linear %x, %w2 : (tensor<?x128xbf16>, tensor<128x128xf32>) -> tensor<?x2x64xbf16>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] rotate {{.*}}Function=second | Reason="they are not the product's first results"
  %r = rshard.rope %k at %p by @r64 : tensor<?x2x64xbf16>, tensor<?xi32>
  return %q, %r : tensor<?x2x64xbf16>, tensor<?x2x64xbf16>
}

func.func private @merged(%layer: index, %x: tensor<?x128xbf16>, %o: tensor<?x2x64xf32>, %lse: tensor<?x2xf32>, %begin: tensor<?xi32>, %source: tensor<?xi32>) -> tensor<?x128xbf16> {
  %w = rshard.parameter @w : tensor<128x128xf32>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Passed] leave-merge {{.*}}Function=merged | Reason="products of one row read its only partial"
  %m = rshard.merge %o, %lse by %begin, %source : tensor<?x2x64xf32>, tensor<?x2xf32>, tensor<?xi32> -> tensor<?x2x64xbf16>
  %y = rshard.linear %m, %w : (tensor<?x2x64xbf16>, tensor<128x128xf32>) -> tensor<?x128xbf16>
  %z = rshard.add %x, %y : tensor<?x128xbf16>
  return %z : tensor<?x128xbf16>
}

func.func private @merge_alone(%layer: index, %o: tensor<?x2x64xf32>, %lse: tensor<?x2xf32>, %begin: tensor<?xi32>, %source: tensor<?xi32>) -> tensor<?x2x64xbf16> {
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] leave-merge {{.*}}Function=merge_alone | Reason="something else than products reads its result"
  %m = rshard.merge %o, %lse by %begin, %source : tensor<?x2x64xf32>, tensor<?x2xf32>, tensor<?xi32> -> tensor<?x2x64xbf16>
  return %m : tensor<?x2x64xbf16>
}

func.func private @merge_rotated(%layer: index, %o: tensor<?x2x64xf32>, %lse: tensor<?x2xf32>, %begin: tensor<?xi32>, %source: tensor<?xi32>, %p: tensor<?xi32>) -> tensor<?x2x64xbf16> {
  %w = rshard.parameter @w : tensor<128x128xf32>
  // CHECK-DAG: [[#@LINE + 1]]:{{.*}}: remark: [Missed] leave-merge {{.*}}Function=merge_rotated | Reason="no product has a kernel for it"
  %m = rshard.merge %o, %lse by %begin, %source : tensor<?x2x64xf32>, tensor<?x2xf32>, tensor<?xi32> -> tensor<?x2x64xbf16>
  %q = rshard.linear %m, %w : (tensor<?x2x64xbf16>, tensor<128x128xf32>) -> tensor<?x2x64xbf16>
  %r = rshard.rope %q at %p by @r64 : tensor<?x2x64xbf16>, tensor<?xi32>
  return %r : tensor<?x2x64xbf16>
}

func.func @step(%frame: !rshard.frame) {
  %c0 = arith.constant 0 : index
  %x = rshard.get_buffer %frame[@comp.x] : memref<?x128xbf16>
  %q = rshard.get_buffer %frame[@pool.query] : memref<?x128xbf16>
  %o = rshard.get_buffer %frame[@pool.other] : memref<?x128xbf16>
  %p = rshard.get_table %frame[@comp.position] : memref<?xi32>
  rshard.launch @taken layer %c0 of %frame ins(%x, %p) outs(%q) : (memref<?x128xbf16>, memref<?xi32>) -> memref<?x128xbf16>
  rshard.launch @shared layer %c0 of %frame ins(%x) outs(%q) : (memref<?x128xbf16>) -> memref<?x128xbf16>
  rshard.launch @passed layer %c0 of %frame ins(%x) outs(%o, %q) : (memref<?x128xbf16>) -> (memref<?x128xbf16>, memref<?x128xbf16>)
  rshard.launch @chain layer %c0 of %frame ins(%x) outs(%o, %q) : (memref<?x128xbf16>) -> (memref<?x128xbf16>, memref<?x128xbf16>)
  rshard.launch @at_once layer %c0 of %frame ins(%x) outs(%o, %q) : (memref<?x128xbf16>) -> (memref<?x128xbf16>, memref<?x128xbf16>)
  rshard.launch @layernorm layer %c0 of %frame ins(%x, %p) outs(%q) : (memref<?x128xbf16>, memref<?xi32>) -> memref<?x128xbf16>
  rshard.launch @head_norm layer %c0 of %frame ins(%x, %p) outs(%o, %q) : (memref<?x128xbf16>, memref<?xi32>) -> (memref<?x128xbf16>, memref<?x128xbf16>)
  rshard.launch @apart layer %c0 of %frame ins(%x, %p) outs(%q) : (memref<?x128xbf16>, memref<?xi32>) -> memref<?x128xbf16>
  rshard.launch @both layer %c0 of %frame ins(%x, %p) outs(%o, %q) : (memref<?x128xbf16>, memref<?xi32>) -> (memref<?x128xbf16>, memref<?x128xbf16>)
  rshard.launch @activated layer %c0 of %frame ins(%x, %p) outs(%q) : (memref<?x128xbf16>, memref<?xi32>) -> memref<?x128xbf16>
  rshard.launch @two_products layer %c0 of %frame ins(%x, %x, %p) outs(%o, %q) : (memref<?x128xbf16>, memref<?x128xbf16>, memref<?xi32>) -> (memref<?x128xbf16>, memref<?x128xbf16>)
  rshard.launch @second layer %c0 of %frame ins(%x, %p) outs(%o, %q) : (memref<?x128xbf16>, memref<?xi32>) -> (memref<?x128xbf16>, memref<?x128xbf16>)
  %po = rshard.get_buffer %frame[@pool.partial.o] : memref<?x128xf32>
  %pl = rshard.get_buffer %frame[@pool.partial.lse] : memref<?x2xf32>
  %b = rshard.get_table %frame[@merge0.begin] : memref<?xi32>
  %s = rshard.get_table %frame[@merge0.source] : memref<?xi32>
  rshard.launch @merged layer %c0 of %frame ins(%x, %po, %pl, %b, %s) outs(%x) : (memref<?x128xbf16>, memref<?x128xf32>, memref<?x2xf32>, memref<?xi32>, memref<?xi32>) -> memref<?x128xbf16>
  rshard.launch @merge_alone layer %c0 of %frame ins(%po, %pl, %b, %s) outs(%q) : (memref<?x128xf32>, memref<?x2xf32>, memref<?xi32>, memref<?xi32>) -> memref<?x128xbf16>
  rshard.launch @merge_rotated layer %c0 of %frame ins(%po, %pl, %b, %s, %p) outs(%q) : (memref<?x128xf32>, memref<?x2xf32>, memref<?xi32>, memref<?xi32>, memref<?xi32>) -> memref<?x128xbf16>
  return
}
