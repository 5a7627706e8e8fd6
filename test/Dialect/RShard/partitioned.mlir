// RUN: rshard-opt %s | rshard-opt | FileCheck %s
// RUN: rshard-opt %s --mlir-print-op-generic | rshard-opt | FileCheck %s

// One route of every kind, and both ends of each.

// CHECK: rshard.route @enter enter : [tensor<?x64xf32>]
rshard.route @enter enter : [tensor<?x64xf32>]
// CHECK: rshard.route @query query class 0 mask <causal> : [tensor<?x4x16xf32>]
rshard.route @query query class 0 mask <causal> : [tensor<?x4x16xf32>]
// CHECK: rshard.route @key key class 0 mask <window 8> : [tensor<?x2x16xf32>, tensor<?x2x16xf32>]
rshard.route @key key class 0 mask <window 8> : [tensor<?x2x16xf32>, tensor<?x2x16xf32>]
// CHECK: rshard.route @partial partial class 0 mask <full> : [tensor<?x4x16xf32>, tensor<?x4xf32>]
rshard.route @partial partial class 0 mask <full> : [tensor<?x4x16xf32>, tensor<?x4xf32>]
// CHECK: rshard.route @leave leave : [tensor<?x64xf32>]
rshard.route @leave leave : [tensor<?x64xf32>]

// CHECK-LABEL: func.func @client
func.func @client(%self: index, %l: index, %table: tensor<10x64xf32>) -> tensor<?x64xf32> attributes {rshard.role = #rshard.role<client>} {
  // CHECK: rshard.tokens : tensor<?xi32>
  %t = rshard.tokens : tensor<?xi32>
  // CHECK: rshard.rows : tensor<?x8x16xf32>
  %rows = rshard.rows : tensor<?x8x16xf32>
  // CHECK: rshard.positions %{{.*}} : tensor<?xi32>
  %p = rshard.positions %self : tensor<?xi32>
  %x = rshard.embedding %t of %table : (tensor<?xi32>, tensor<10x64xf32>) -> tensor<?x64xf32>
  // CHECK: rshard.send @enter(%{{.*}}) layer %{{.*}} : tensor<?x64xf32>
  rshard.send @enter(%x) layer %l : tensor<?x64xf32>
  // CHECK: rshard.wanted %{{.*}} : tensor<?x64xf32>
  %w = rshard.wanted %x : tensor<?x64xf32>
  // CHECK: rshard.receive @leave layer %{{.*}} : tensor<?x64xf32>
  %y = rshard.receive @leave layer %l : tensor<?x64xf32>
  %z = rshard.add %w, %y : tensor<?x64xf32>
  return %z : tensor<?x64xf32>
}

// CHECK-LABEL: func.func @kinds
func.func @kinds(%l: index) -> index {
  // CHECK: rshard.layer_kind %{{.*}} of [0, 0, 1]
  %kind = rshard.layer_kind %l of [0, 0, 1]
  return %kind : index
}

// CHECK-LABEL: func.func @comp
func.func @comp(%self: index, %l: index, %q: tensor<?x4x16xf32>, %k: tensor<?x2x16xf32>) attributes {rshard.role = #rshard.role<comp>} {
  %p = rshard.positions %self : tensor<?xi32>
  %x = rshard.receive @enter layer %l : tensor<?x64xf32>
  rshard.send @query(%q) layer %l : tensor<?x4x16xf32>
  // CHECK: rshard.send @key(%{{.*}}, %{{.*}}) layer %{{.*}} : tensor<?x2x16xf32>, tensor<?x2x16xf32>
  rshard.send @key(%k, %k) layer %l : tensor<?x2x16xf32>, tensor<?x2x16xf32>
  // CHECK: %{{.*}}:4 = rshard.receive @partial layer %{{.*}} : tensor<?x4x16xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>
  %o, %lse, %b, %s = rshard.receive @partial layer %l : tensor<?x4x16xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>
  // CHECK: rshard.merge %{{.*}}#0, %{{.*}}#1 by %{{.*}}#2, %{{.*}}#3 : tensor<?x4x16xf32>, tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4x16xf32>
  %m = rshard.merge %o, %lse by %b, %s : tensor<?x4x16xf32>, tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4x16xf32>
  rshard.send @leave(%x) layer %l : tensor<?x64xf32>
  return
}

// CHECK-LABEL: func.func @attn
func.func @attn(%self: index, %l: index) attributes {rshard.role = #rshard.role<attn>} {
  // CHECK: %{{.*}}:2 = rshard.receive @query layer %{{.*}} : tensor<?x4x16xf32>, tensor<?xi32>
  %q, %qp = rshard.receive @query layer %l : tensor<?x4x16xf32>, tensor<?xi32>
  // CHECK: %{{.*}}:3 = rshard.receive @key layer %{{.*}} : tensor<?x2x16xf32>, tensor<?x2x16xf32>, tensor<?xi32>
  %k, %v, %kp = rshard.receive @key layer %l : tensor<?x2x16xf32>, tensor<?x2x16xf32>, tensor<?xi32>
  // CHECK: rshard.append %{{.*}}, %{{.*}} at %{{.*}} layer %{{.*}} : tensor<?x2x16xf32>, tensor<?xi32>
  %ks, %vs, %ps = rshard.append %k, %v at %kp layer %l : tensor<?x2x16xf32>, tensor<?xi32>
  // CHECK: rshard.partial_attention %{{.*}} at %{{.*}}, %{{.*}}, %{{.*}} at %{{.*}} mask <causal> scale 2.500000e-01
  // CHECK-SAME: : tensor<?x4x16xf32>, tensor<?xi32>, tensor<?x2x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>, tensor<?x4xf32>
  %o, %lse = rshard.partial_attention %q at %qp, %ks, %vs at %ps mask <causal> scale 0.25
    : tensor<?x4x16xf32>, tensor<?xi32>, tensor<?x2x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>, tensor<?x4xf32>
  // CHECK: rshard.send @partial(%{{.*}}, %{{.*}}) layer %{{.*}} : tensor<?x4x16xf32>, tensor<?x4xf32>
  rshard.send @partial(%o, %lse) layer %l : tensor<?x4x16xf32>, tensor<?x4xf32>
  return
}

// Rows of two bytes, with partials of four and of two.
// CHECK: rshard.route @narrow partial class 0 mask <causal> : [tensor<?x4x16xbf16>, tensor<?x4xf32>]
rshard.route @narrow partial class 0 mask <causal> : [tensor<?x4x16xbf16>, tensor<?x4xf32>]
// CHECK-LABEL: func.func @types
func.func @types(%l: index, %q: tensor<?x4x16xbf16>, %k: tensor<?x2x16xbf16>, %p: tensor<?xi32>, %b: tensor<?xi32>) {
  // CHECK: rshard.append %{{.*}}, %{{.*}} at %{{.*}} layer %{{.*}} : tensor<?x2x16xbf16>, tensor<?xi32>
  %ks, %vs, %ps = rshard.append %k, %k at %p layer %l : tensor<?x2x16xbf16>, tensor<?xi32>
  // CHECK: rshard.partial_attention
  // CHECK-SAME: : tensor<?x4x16xbf16>, tensor<?xi32>, tensor<?x2x16xbf16>, tensor<?xi32> -> tensor<?x4x16xf32>, tensor<?x4xf32>
  %wide, %lse = rshard.partial_attention %q at %p, %ks, %vs at %ps mask <causal> scale 0.25
    : tensor<?x4x16xbf16>, tensor<?xi32>, tensor<?x2x16xbf16>, tensor<?xi32> -> tensor<?x4x16xf32>, tensor<?x4xf32>
  // CHECK: rshard.merge {{.*}} : tensor<?x4x16xf32>, tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4x16xbf16>
  %m = rshard.merge %wide, %lse by %b, %b : tensor<?x4x16xf32>, tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4x16xbf16>
  // CHECK: rshard.partial_attention
  // CHECK-SAME: -> tensor<?x4x16xbf16>, tensor<?x4xf32>
  %narrow, %lse2 = rshard.partial_attention %m at %p, %ks, %vs at %ps mask <causal> scale 0.25
    : tensor<?x4x16xbf16>, tensor<?xi32>, tensor<?x2x16xbf16>, tensor<?xi32> -> tensor<?x4x16xbf16>, tensor<?x4xf32>
  // CHECK: rshard.partial_attention {{.*}} mask <causal> scale 2.500000e-01 soft_cap 3.000000e+01
  %capped, %lse3 = rshard.partial_attention %m at %p, %ks, %vs at %ps mask <causal> scale 0.25 soft_cap 30.0
    : tensor<?x4x16xbf16>, tensor<?xi32>, tensor<?x2x16xbf16>, tensor<?xi32> -> tensor<?x4x16xbf16>, tensor<?x4xf32>
  // CHECK: rshard.merge {{.*}} : tensor<?x4x16xbf16>, tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4x16xbf16>
  %n = rshard.merge %narrow, %lse2 by %b, %b : tensor<?x4x16xbf16>, tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4x16xbf16>
  return
}
