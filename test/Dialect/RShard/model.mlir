// RUN: rshard-opt %s | rshard-opt | FileCheck %s
// RUN: rshard-opt %s --mlir-print-op-generic | rshard-opt | FileCheck %s

// CHECK: module attributes {rshard.model = #rshard.model<architecture = "LlamaForCausalLM", positions = 512, end = [2], hash = "">}
module attributes {rshard.model = #rshard.model<architecture = "LlamaForCausalLM", positions = 512, end = [2], hash = "">} {
  // CHECK: rshard.weight @embedding "model.embed_tokens.weight" : tensor<499x64xf32>
  rshard.weight @embedding "model.embed_tokens.weight" : tensor<499x64xf32>
  // CHECK: rshard.weight @wq "h.{}.c_attn.weight" layers [0, 3) rows [0, 64) of 192 transposed : tensor<64x64xf32>
  rshard.weight @wq "h.{}.c_attn.weight" layers [0, 3) rows [0, 64) of 192 transposed : tensor<64x64xf32>
  rshard.weight @wk "layers.{}.k.weight" layers [0, 3) : tensor<32x64xf32>
  rshard.weight @wo "layers.{}.o.weight" layers [0, 3) : tensor<64x64xf32>
  rshard.weight @norm "layers.{}.norm.weight" layers [0, 3) : tensor<64xf32>
  rshard.weight @bias "layers.{}.bias" layers [0, 3) : tensor<64xf32>
  rshard.weight @head_norm "model.norm.weight" : tensor<64xf32>
  // CHECK: rshard.rotary @rope [1.000000e+00, 1.000000e-01, 1.000000e-02, 1.000000e-03, 1.000000e-04, 1.000000e-05, 9.9999999999999995E-7, 9.9999999999999995E-8] scale 1.000000e+00
  rshard.rotary @rope [1.0, 1.0e-01, 1.0e-02, 1.0e-03, 1.0e-04, 1.0e-05, 1.0e-06, 1.0e-07] scale 1.0

  // CHECK-LABEL: func.func private @decoder
  func.func private @decoder(%layer: index, %x: tensor<?x64xf32>, %positions: tensor<?xi32>) -> tensor<?x64xf32> {
    // CHECK: rshard.parameter @norm[%{{.*}}] : tensor<64xf32>
    %n = rshard.parameter @norm[%layer] : tensor<64xf32>
    // CHECK: rshard.norm rms %{{.*}}, %{{.*}} eps 1.000000e-05 : tensor<?x64xf32>, tensor<64xf32>
    %h = rshard.norm rms %x, %n eps 1.0e-05 : tensor<?x64xf32>, tensor<64xf32>
    %wq = rshard.parameter @wq[%layer] : tensor<64x64xf32>
    %b = rshard.parameter @bias[%layer] : tensor<64xf32>
    // CHECK: rshard.linear %{{.*}}, %{{.*}} bias %{{.*}} : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x4x16xf32>
    %q0 = rshard.linear %h, %wq bias %b : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x4x16xf32>
    %wk = rshard.parameter @wk[%layer] : tensor<32x64xf32>
    %k0 = rshard.linear %h, %wk : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x2x16xf32>
    // CHECK: rshard.rope %{{.*}} at %{{.*}} by @rope : tensor<?x4x16xf32>, tensor<?xi32>
    %q = rshard.rope %q0 at %positions by @rope : tensor<?x4x16xf32>, tensor<?xi32>
    %k = rshard.rope %k0 at %positions by @rope : tensor<?x2x16xf32>, tensor<?xi32>
    // CHECK: rshard.attention %{{.*}}, %{{.*}}, %{{.*}} mask <window 8> scale 2.500000e-01 : tensor<?x4x16xf32>, tensor<?x2x16xf32>
    %o = rshard.attention %q, %k, %k0 mask <window 8> scale 0.25 : tensor<?x4x16xf32>, tensor<?x2x16xf32>
    %wo = rshard.parameter @wo[%layer] : tensor<64x64xf32>
    %y = rshard.linear %o, %wo : (tensor<?x4x16xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    // CHECK: rshard.norm layer %{{.*}}, %{{.*}} bias %{{.*}} eps 9.9999999999999998E-13 : tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>
    %l = rshard.norm layer %y, %n bias %b eps 1.0e-12 : tensor<?x64xf32>, tensor<64xf32>, tensor<64xf32>
    // CHECK: rshard.activation gelu %{{.*}} : tensor<?x64xf32>
    %g = rshard.activation gelu %l : tensor<?x64xf32>
    // CHECK: rshard.activation gelu_tanh %{{.*}} : tensor<?x64xf32>
    %t = rshard.activation gelu_tanh %l : tensor<?x64xf32>
    // CHECK: rshard.gated silu %{{.*}}, %{{.*}} : tensor<?x64xf32>
    %m = rshard.gated silu %g, %y : tensor<?x64xf32>
    // CHECK: rshard.add_row %{{.*}}, %{{.*}} : tensor<?x64xf32>, tensor<64xf32>
    %r = rshard.add_row %m, %b : tensor<?x64xf32>, tensor<64xf32>
    // CHECK: rshard.add %{{.*}}, %{{.*}} : tensor<?x64xf32>
    %z = rshard.add %x, %r : tensor<?x64xf32>
    return %z : tensor<?x64xf32>
  }

  func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x499xf32> {
    %table = rshard.parameter @embedding : tensor<499x64xf32>
    // CHECK: rshard.embedding %{{.*}} of %{{.*}} : (tensor<?xi32>, tensor<499x64xf32>) -> tensor<?x64xf32>
    %x = rshard.embedding %tokens of %table : (tensor<?xi32>, tensor<499x64xf32>) -> tensor<?x64xf32>
    // CHECK: rshard.layers [@decoder] [0, 0, 0](%{{.*}}, %{{.*}}) : tensor<?x64xf32>, tensor<?xi32>
    %y = rshard.layers [@decoder] [0, 0, 0] (%x, %positions) : tensor<?x64xf32>, tensor<?xi32>
    %n = rshard.parameter @head_norm : tensor<64xf32>
    %h = rshard.norm rms %y, %n eps 1.0e-05 : tensor<?x64xf32>, tensor<64xf32>
    %l = rshard.linear %h, %table : (tensor<?x64xf32>, tensor<499x64xf32>) -> tensor<?x499xf32>
    return %l : tensor<?x499xf32>
  }
  // Attention-only: the caller's rows are query, key and value heads, and the one layer returns rows of another type.
  func.func private @attend(%layer: index, %rows: tensor<?x8x16xf32>, %positions: tensor<?xi32>) -> tensor<?x4x16xf32> {
    // CHECK: rshard.heads %{{.*}} [0, 4) : tensor<?x8x16xf32> -> tensor<?x4x16xf32>
    %q = rshard.heads %rows [0, 4) : tensor<?x8x16xf32> -> tensor<?x4x16xf32>
    %k = rshard.heads %rows [4, 6) : tensor<?x8x16xf32> -> tensor<?x2x16xf32>
    %v = rshard.heads %rows [6, 8) : tensor<?x8x16xf32> -> tensor<?x2x16xf32>
    %o = rshard.attention %q, %k, %v mask <causal> scale 0.25 : tensor<?x4x16xf32>, tensor<?x2x16xf32>
    return %o : tensor<?x4x16xf32>
  }
  func.func @attention_only(%rows: tensor<?x8x16xf32>, %positions: tensor<?xi32>) -> tensor<?x4x16xf32> {
    // CHECK: rshard.layers [@attend] [0](%{{.*}}, %{{.*}}) : tensor<?x8x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>
    %o = rshard.layers [@attend] [0] (%rows, %positions) : tensor<?x8x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>
    return %o : tensor<?x4x16xf32>
  }

  // Rows of every type; a linear and an embedding may change it.
  // CHECK-LABEL: func.func @types
  func.func @types(%ids: tensor<?xi32>, %h: tensor<?x64xf16>, %heads: tensor<?x4x16xbf16>) -> tensor<?x499xf32> {
    %table = rshard.parameter @embedding : tensor<499x64xf32>
    %b = rshard.parameter @head_norm : tensor<64xf32>
    // CHECK: rshard.embedding {{.*}} -> tensor<?x64xbf16>
    %x = rshard.embedding %ids of %table : (tensor<?xi32>, tensor<499x64xf32>) -> tensor<?x64xbf16>
    // CHECK: rshard.add_row {{.*}} : tensor<?x64xbf16>, tensor<64xf32>
    %r = rshard.add_row %x, %b : tensor<?x64xbf16>, tensor<64xf32>
    // CHECK: rshard.norm rms {{.*}} : tensor<?x64xbf16>, tensor<64xf32>
    %n = rshard.norm rms %r, %b eps 1.0e-05 : tensor<?x64xbf16>, tensor<64xf32>
    // CHECK: rshard.rope {{.*}} : tensor<?x4x16xbf16>, tensor<?xi32>
    %q = rshard.rope %heads at %ids by @rope : tensor<?x4x16xbf16>, tensor<?xi32>
    // CHECK: rshard.attention {{.*}} : tensor<?x4x16xbf16>, tensor<?x4x16xbf16>
    %o = rshard.attention %q, %heads, %heads mask <full> scale 0.25 : tensor<?x4x16xbf16>, tensor<?x4x16xbf16>
    // CHECK: rshard.attention {{.*}} mask <causal> scale 2.500000e-01 soft_cap 5.000000e+01 : tensor<?x4x16xbf16>, tensor<?x4x16xbf16>
    %capped = rshard.attention %q, %heads, %heads mask <causal> scale 0.25 soft_cap 50.0 : tensor<?x4x16xbf16>, tensor<?x4x16xbf16>
    // CHECK: rshard.activation relu {{.*}} : tensor<?x64xf16>
    %a = rshard.activation relu %h : tensor<?x64xf16>
    // CHECK: rshard.convert {{.*}} : tensor<?x64xf16> -> tensor<?x64xbf16>
    %c = rshard.convert %a : tensor<?x64xf16> -> tensor<?x64xbf16>
    %s = rshard.add %n, %c : tensor<?x64xbf16>
    // CHECK: rshard.linear {{.*}} : (tensor<?x64xbf16>, tensor<499x64xf32>) -> tensor<?x499xf32>
    %l = rshard.linear %s, %table : (tensor<?x64xbf16>, tensor<499x64xf32>) -> tensor<?x499xf32>
    return %l : tensor<?x499xf32>
  }
}
