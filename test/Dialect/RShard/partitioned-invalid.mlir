// RUN: rshard-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{'rshard.route' op of kind query has no mask}}
rshard.route @r query class 0 : [tensor<?x4x16xf32>]

// -----

// expected-error @below {{'rshard.route' op of kind enter has a mask}}
rshard.route @r enter mask <causal> : [tensor<?x64xf32>]

// -----

// expected-error @below {{'rshard.route' op of kind key moves 1 tensors vs 2}}
rshard.route @r key class 0 mask <causal> : [tensor<?x2x16xf32>]

// -----

// expected-error @below {{'down' vs one of enter, query, key, partial, leave}}
rshard.route @r down : [tensor<?x2x16xf32>]

// -----

// expected-error @below {{'rshard.route' op moves 'tensor<4x64xf32>' vs an f32, bf16 or f16 tensor whose first dimension, and no other, is dynamic}}
rshard.route @r enter : [tensor<4x64xf32>]

// -----

// expected-error @below {{'rshard.route' op moves 'tensor<?x64xi32>' vs an f32, bf16 or f16 tensor whose first dimension, and no other, is dynamic}}
rshard.route @r leave : [tensor<?x64xi32>]

// -----

// expected-error @below {{'rshard.route' op moves 'tensor<?x64xf32>' vs [tokens, heads, head size]}}
rshard.route @r query class 0 mask <causal> : [tensor<?x64xf32>]

// -----

// expected-error @below {{'rshard.route' op moves values 'tensor<?x4x8xf32>' vs keys 'tensor<?x2x16xf32>'}}
rshard.route @r key class 0 mask <causal> : [tensor<?x2x16xf32>, tensor<?x4x8xf32>]

// -----

// expected-error @below {{'rshard.route' op moves lse 'tensor<?x2xf32>' vs the 4 heads of the output 'tensor<?x4x16xf32>'}}
rshard.route @r partial class 0 mask <causal> : [tensor<?x4x16xf32>, tensor<?x2xf32>]

// -----

func.func @client(%self: index, %x: tensor<?x64xf32>) attributes {rshard.role = #rshard.role<client>} {
  // expected-error @below {{'rshard.send' op refers to @r: no rshard.route of this name}}
  rshard.send @r(%x) layer %self : tensor<?x64xf32>
  return
}

// -----

// expected-note @below {{route declared here}}
rshard.route @r enter : [tensor<?x64xf32>]
func.func @comp(%self: index, %x: tensor<?x64xf32>) attributes {rshard.role = #rshard.role<comp>} {
  // expected-error @below {{'rshard.send' op in the program of role comp vs client}}
  rshard.send @r(%x) layer %self : tensor<?x64xf32>
  return
}

// -----

// expected-note @below {{route declared here}}
rshard.route @r leave : [tensor<?x64xf32>]
func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} {
  // expected-error @below {{'rshard.receive' op in the program of role comp vs client}}
  %x = rshard.receive @r layer %self : tensor<?x64xf32>
  return
}

// -----

// expected-note @below {{route declared here}}
rshard.route @r enter : [tensor<?x64xf32>]
func.func @none(%self: index, %x: tensor<?x64xf32>) {
  // expected-error @below {{'rshard.send' op in the program of role none vs client}}
  rshard.send @r(%x) layer %self : tensor<?x64xf32>
  return
}

// -----

// expected-note @below {{route declared here}}
rshard.route @r enter : [tensor<?x64xf32>]
func.func @client(%self: index, %x: tensor<?x32xf32>) attributes {rshard.role = #rshard.role<client>} {
  // expected-error @below {{'rshard.send' op types ('tensor<?x32xf32>') vs ('tensor<?x64xf32>')}}
  rshard.send @r(%x) layer %self : tensor<?x32xf32>
  return
}

// -----

// expected-note @below {{route declared here}}
rshard.route @r query class 0 mask <causal> : [tensor<?x4x16xf32>]
func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} {
  // expected-error @below {{'rshard.receive' op types ('tensor<?x4x16xf32>') vs ('tensor<?x4x16xf32>', 'tensor<?xi32>')}}
  %q = rshard.receive @r layer %self : tensor<?x4x16xf32>
  return
}

// -----

func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} {
  // expected-error @below {{'rshard.tokens' op in the program of role comp vs client}}
  %t = rshard.tokens : tensor<?xi32>
  return
}

// -----

func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} {
  // expected-error @below {{'rshard.rows' op in the program of role comp vs client}}
  %x = rshard.rows : tensor<?x8x16xf32>
  return
}

// -----

func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} {
  // expected-error @below {{'rshard.positions' op in the program of role attn vs client or comp}}
  %p = rshard.positions %self : tensor<?xi32>
  return
}

// -----

func.func @attn(%self: index, %x: tensor<?x64xf32>) attributes {rshard.role = #rshard.role<attn>} {
  // expected-error @below {{'rshard.wanted' op in the program of role attn vs client}}
  %w = rshard.wanted %x : tensor<?x64xf32>
  return
}

// -----

func.func @attn(%q: tensor<?x4x16xf32>, %p: tensor<?xi32>, %k: tensor<?x2x16xf32>) {
  // expected-error @below {{'rshard.partial_attention' op heads of lse: 2 vs 4}}
  %o, %lse = rshard.partial_attention %q at %p, %k, %k at %p mask <causal> scale 0.25
    : tensor<?x4x16xf32>, tensor<?xi32>, tensor<?x2x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>, tensor<?x2xf32>
  return
}

// -----

func.func @attn(%q: tensor<?x4x16xf32>, %p: tensor<?xi32>, %k: tensor<?x2x8xf32>) {
  // expected-error @below {{'rshard.partial_attention' op head size of the keys: 8 vs 16}}
  %o, %lse = rshard.partial_attention %q at %p, %k, %k at %p mask <causal> scale 0.25
    : tensor<?x4x16xf32>, tensor<?xi32>, tensor<?x2x8xf32>, tensor<?xi32> -> tensor<?x4x16xf32>, tensor<?x4xf32>
  return
}

// -----

func.func @attn(%q: tensor<?x4x16xf32>, %p: tensor<?xi32>, %k: tensor<?x3x16xf32>) {
  // expected-error @below {{'rshard.partial_attention' op query heads: 4 vs a multiple of the 3 key heads}}
  %o, %lse = rshard.partial_attention %q at %p, %k, %k at %p mask <causal> scale 0.25
    : tensor<?x4x16xf32>, tensor<?xi32>, tensor<?x3x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>, tensor<?x4xf32>
  return
}

// -----

func.func @attn(%q: tensor<?x4x16xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.partial_attention' op scale 0.000000e+00 vs a number from 1e-37 to 1e+37}}
  %o, %lse = rshard.partial_attention %q at %p, %q, %q at %p mask <causal> scale 0.0
    : tensor<?x4x16xf32>, tensor<?xi32>, tensor<?x4x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>, tensor<?x4xf32>
  return
}

// -----

func.func @attn(%q: tensor<?x4x16xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.partial_attention' op soft_cap -5.000000e+01 vs a number from 1e-37 to 1e+37}}
  %o, %lse = rshard.partial_attention %q at %p, %q, %q at %p mask <causal> scale 1.0 soft_cap -50.0
    : tensor<?x4x16xf32>, tensor<?xi32>, tensor<?x4x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>, tensor<?x4xf32>
  return
}

// -----

func.func @merge(%o: tensor<?x4x16xf32>, %lse: tensor<?x2xf32>, %i: tensor<?xi32>) {
  // expected-error @below {{'rshard.merge' op heads of lse: 2 vs 4}}
  %m = rshard.merge %o, %lse by %i, %i : tensor<?x4x16xf32>, tensor<?x2xf32>, tensor<?xi32> -> tensor<?x4x16xf32>
  return
}

// -----

func.func @attn(%q: tensor<?x4x16xbf16>, %p: tensor<?xi32>, %k: tensor<?x2x16xf32>) {
  // expected-error @below {{'rshard.partial_attention' op element of the keys: 'f32' vs 'bf16'}}
  %o, %lse = rshard.partial_attention %q at %p, %k, %k at %p mask <causal> scale 0.25
    : tensor<?x4x16xbf16>, tensor<?xi32>, tensor<?x2x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>, tensor<?x4xf32>
  return
}

// -----

func.func @attn(%q: tensor<?x4x16xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.partial_attention' op partials 'tensor<?x4x16xbf16>' vs 'tensor<?x4x16xf32>' or the same in f32}}
  %o, %lse = rshard.partial_attention %q at %p, %q, %q at %p mask <causal> scale 0.25
    : tensor<?x4x16xf32>, tensor<?xi32>, tensor<?x4x16xf32>, tensor<?xi32> -> tensor<?x4x16xbf16>, tensor<?x4xf32>
  return
}

// -----

func.func @attn(%q: tensor<?x4x16xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.partial_attention' op partials 'tensor<?x2x16xf32>' vs 'tensor<?x4x16xf32>' or the same in f32}}
  %o, %lse = rshard.partial_attention %q at %p, %q, %q at %p mask <causal> scale 0.25
    : tensor<?x4x16xf32>, tensor<?xi32>, tensor<?x4x16xf32>, tensor<?xi32> -> tensor<?x2x16xf32>, tensor<?x4xf32>
  return
}

// -----

func.func @merge(%o: tensor<?x4x16xf16>, %lse: tensor<?x4xf32>, %i: tensor<?xi32>) {
  // expected-error @below {{'rshard.merge' op partials 'tensor<?x4x16xf16>' vs 'tensor<?x4x16xbf16>' or the same in f32}}
  %m = rshard.merge %o, %lse by %i, %i : tensor<?x4x16xf16>, tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4x16xbf16>
  return
}

// -----

func.func @merge(%o: tensor<?x4x16xbf16>, %lse: tensor<?x4xbf16>, %i: tensor<?xi32>) {
  // expected-error @below {{must be f32 tensor of two dimensions whose first dimension, and no other, is dynamic, but got 'tensor<?x4xbf16>'}}
  %m = rshard.merge %o, %lse by %i, %i : tensor<?x4x16xbf16>, tensor<?x4xbf16>, tensor<?xi32> -> tensor<?x4x16xbf16>
  return
}

// -----

// expected-error @below {{'rshard.route' op moves lse 'tensor<?x4xbf16>' vs f32}}
rshard.route @r partial class 0 mask <causal> : [tensor<?x4x16xbf16>, tensor<?x4xbf16>]

// -----

func.func @kinds(%l: index) {
  // expected-error @below {{'rshard.layer_kind' op kinds: 0 vs at least 1}}
  %kind = "rshard.layer_kind"(%l) {kinds = array<i32>} : (index) -> index
  return
}

// -----

func.func @kinds(%l: index) {
  // expected-error @below {{'rshard.layer_kind' op kind of layer 1: -1 vs at least 0}}
  %kind = rshard.layer_kind %l of [0, -1]
  return
}

// -----

// expected-error @below {{'rshard.route' op of kind query has no class}}
rshard.route @r query mask <causal> : [tensor<?x4x16xf32>]

// -----

// expected-error @below {{'rshard.route' op of kind leave has a class}}
rshard.route @r leave class 0 : [tensor<?x64xf32>]

// -----

// expected-error @below {{'rshard.route' op class -1 vs 0 or more}}
rshard.route @r query class -1 mask <causal> : [tensor<?x4x16xf32>]

// -----

func.func @attn(%q: tensor<?x4x16xf32>, %p: tensor<?xi32>) {
  // expected-error @below {{'rshard.partial_attention' op scale 1.000000e-39 vs a number from 1e-37 to 1e+37}}
  %o, %lse = rshard.partial_attention %q at %p, %q, %q at %p mask <causal> scale 1.0e-39
    : tensor<?x4x16xf32>, tensor<?xi32>, tensor<?x4x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>, tensor<?x4xf32>
  return
}
