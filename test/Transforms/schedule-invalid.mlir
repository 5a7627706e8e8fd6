// RUN: rshard-opt %s --split-input-file --verify-diagnostics --rshard-schedule

// Modules that verify, but are not what the partitioner writes: an error, whatever they hold.

// Every class has its three routes, whatever they are called.
// expected-error @below {{holds no route of kind key and class 0 vs 1 classes}}
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

// expected-error @below {{holds no route of kind enter}}
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

// Programs are known by their role, not by their name.
// expected-error @below {{holds no program of role attn vs a module of the partitioned phase}}
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) { return }
}

// -----

module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  // expected-note @below {{the first one}}
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  // expected-error @below {{is the second program of role client vs 1}}
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
}

// -----

module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  // expected-error @below {{'func.func' op has type '() -> ()' vs one of (index)}}
  func.func @comp() attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  // expected-error @below {{'func.func' op has 0 blocks vs 1}}
  func.func private @attn(%self: index) attributes {rshard.role = #rshard.role<attn>}
}

// -----

// The runtime reads results as f32.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) types <activations = bf16, partials = f32> ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xbf16>]
  rshard.route @leave leave : [tensor<?x8xbf16>]
  // expected-error @below {{'func.func' op returns 'tensor<?x8xbf16>' vs f32 rows, which the caller reads}}
  func.func @client(%self: index) -> tensor<?x8xbf16> attributes {rshard.role = #rshard.role<client>} {
    %x = rshard.receive @leave layer %self : tensor<?x8xbf16>
    return %x : tensor<?x8xbf16>
  }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

// expected-error @below {{holds no route of kind leave}}
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  // expected-note @below {{the first one}}
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  // expected-error @below {{'rshard.route' op is the second of kind query and class 0 vs 1}}
  rshard.route @query0 query class 0 mask <full> : [tensor<?x2x4xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  // expected-error @below {{'rshard.route' op is of class 3 vs less than the 3 routes}}
  rshard.route @q query class 3 mask <causal> : [tensor<?x2x4xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

// C2: what a cell computes follows from one mask.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  // expected-note @below {{the route of the queries}}
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  // expected-error @below {{'rshard.route' op of class 0 has mask #rshard.mask<window 8> vs #rshard.mask<causal> of its queries}}
  rshard.route @k key class 0 mask <window 8> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
  rshard.route @p partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} {
    // expected-error @below {{'arith.muli' op has no place in a schedule}}
    %square = arith.muli %self, %self : index
    return
  }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

// Rows that a segment reads lie in a buffer of the frame.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  func.func private @segment(%layer: index, %ids: tensor<4xi32>) { return }
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} {
    %ids = arith.constant dense<0> : tensor<4xi32>
    // expected-error @below {{'func.call' op takes a value that no exchange or segment has placed}}
    call @segment(%self, %ids) : (index, tensor<4xi32>) -> ()
    return
  }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

// Every round of a loop finds its rows where the one before it has left them.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %tokens = rshard.tokens : tensor<?xi32>
    %positions = rshard.positions %self : tensor<?xi32>
    %r:2 = scf.for %i = %c0 to %c1 step %c1 iter_args(%a = %tokens, %b = %positions) -> (tensor<?xi32>, tensor<?xi32>) {
      // expected-error @below {{'scf.yield' op leaves value 0 at another place than the one it is carried at}}
      scf.yield %b, %a : tensor<?xi32>, tensor<?xi32>
    }
    return
  }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

// C2: the keys of a class go to cells that compute something with them.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  rshard.route @k key class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
  rshard.route @p partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
  func.func private @begin(%layer: index, %tokens: tensor<?xi32>) -> tensor<?x8xf32> {
    %table = rshard.parameter @table : tensor<16x8xf32>
    %x = rshard.embedding %tokens of %table : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
    return %x : tensor<?x8xf32>
  }
  func.func private @keys(%layer: index, %x: tensor<?x8xf32>) -> tensor<?x2x4xf32> {
    %w = rshard.parameter @w : tensor<8x8xf32>
    %k = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
    return %k : tensor<?x2x4xf32>
  }
  rshard.weight @table "table" : tensor<16x8xf32>
  rshard.weight @w "w" : tensor<8x8xf32>
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} {
    %tokens = rshard.tokens : tensor<?xi32>
    %x = call @begin(%self, %tokens) : (index, tensor<?xi32>) -> tensor<?x8xf32>
    rshard.send @enter(%x) layer %self : tensor<?x8xf32>
    return
  }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} {
    %x = rshard.receive @enter layer %self : tensor<?x8xf32>
    %k = call @keys(%self, %x) : (index, tensor<?x8xf32>) -> tensor<?x2x4xf32>
    rshard.send @k(%k, %k) layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>
    return
  }
  // expected-error @below {{'func.func' op has no partial attention of class 0}}
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

// C2: cells attend to the keys as they were sent.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  rshard.route @k key class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
  rshard.route @p partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} {
    %q, %qp = rshard.receive @q layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %k, %v, %p = rshard.receive @k layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?xi32>
    // expected-error @below {{'rshard.activation' op has no place in a schedule vs the append of the received keys and values, which comes next on an AttnNode}}
    %r = rshard.activation relu %k : tensor<?x2x4xf32>
    %ks, %vs, %ps = rshard.append %r, %v at %p layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %o, %lse = rshard.partial_attention %q at %qp, %ks, %vs at %ps mask <causal> scale 0.5
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    rshard.send @p(%o, %lse) layer %self : tensor<?x2x4xf32>, tensor<?x2xf32>
    return
  }
}

// -----

// C2: keys are no values.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  rshard.route @k key class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
  rshard.route @p partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} {
    %q, %qp = rshard.receive @q layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %k, %v, %p = rshard.receive @k layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?xi32>
    // expected-error @below {{'rshard.append' op has no place in a schedule vs the append of the received keys and values, which comes next on an AttnNode}}
    %ks, %vs, %ps = rshard.append %v, %k at %p layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %o, %lse = rshard.partial_attention %q at %qp, %ks, %vs at %ps mask <causal> scale 0.5
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    rshard.send @p(%o, %lse) layer %self : tensor<?x2x4xf32>, tensor<?x2xf32>
    return
  }
}

// -----

// C5: rows of the cache have the positions with which they came.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  rshard.route @k key class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
  rshard.route @p partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} {
    %q, %qp = rshard.receive @q layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %k, %v, %p = rshard.receive @k layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?xi32>
    // expected-error @below {{'rshard.append' op has no place in a schedule vs the append of the received keys and values, which comes next on an AttnNode}}
    %ks, %vs, %ps = rshard.append %k, %v at %qp layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %o, %lse = rshard.partial_attention %q at %qp, %ks, %vs at %ps mask <causal> scale 0.5
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    rshard.send @p(%o, %lse) layer %self : tensor<?x2x4xf32>, tensor<?x2xf32>
    return
  }
}

// -----

// C2: queries see what their own positions show them.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  rshard.route @k key class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
  rshard.route @p partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} {
    %q, %qp = rshard.receive @q layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %k, %v, %p = rshard.receive @k layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?xi32>
    %ks, %vs, %ps = rshard.append %k, %v at %p layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    // expected-error @below {{'rshard.partial_attention' op has no place in a schedule vs the partial attention of the received queries, which comes next on an AttnNode}}
    %o, %lse = rshard.partial_attention %q at %ps, %ks, %vs at %ps mask <causal> scale 0.5
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    rshard.send @p(%o, %lse) layer %self : tensor<?x2x4xf32>, tensor<?x2xf32>
    return
  }
}

// -----

// C2: a cell attends to all of its cache, and not to the rows of the step.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  rshard.route @k key class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
  rshard.route @p partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} {
    %q, %qp = rshard.receive @q layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %k, %v, %p = rshard.receive @k layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?xi32>
    %ks, %vs, %ps = rshard.append %k, %v at %p layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    // expected-error @below {{'rshard.partial_attention' op has no place in a schedule vs the partial attention of the received queries, which comes next on an AttnNode}}
    %o, %lse = rshard.partial_attention %q at %qp, %k, %v at %p mask <causal> scale 0.5
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    rshard.send @p(%o, %lse) layer %self : tensor<?x2x4xf32>, tensor<?x2xf32>
    return
  }
}

// -----

// C2: the mask of a cell is that of its class.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  rshard.route @k key class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
  rshard.route @p partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} {
    %q, %qp = rshard.receive @q layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %k, %v, %p = rshard.receive @k layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?xi32>
    %ks, %vs, %ps = rshard.append %k, %v at %p layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    // expected-error @below {{'rshard.partial_attention' op has no place in a schedule vs the partial attention of the received queries, which comes next on an AttnNode}}
    %o, %lse = rshard.partial_attention %q at %qp, %ks, %vs at %ps mask <full> scale 0.5
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    rshard.send @p(%o, %lse) layer %self : tensor<?x2x4xf32>, tensor<?x2xf32>
    return
  }
}

// -----

// C3: the CompNode merges what the cell has computed.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  rshard.route @k key class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
  rshard.route @p partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} {
    %q, %qp = rshard.receive @q layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %k, %v, %p = rshard.receive @k layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?xi32>
    %ks, %vs, %ps = rshard.append %k, %v at %p layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %o, %lse = rshard.partial_attention %q at %qp, %ks, %vs at %ps mask <causal> scale 0.5
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    // expected-error @below {{'rshard.activation' op has no place in a schedule vs the send of the partial attention, which comes next on an AttnNode}}
    %r = rshard.activation relu %o : tensor<?x2x4xf32>
    rshard.send @p(%r, %lse) layer %self : tensor<?x2x4xf32>, tensor<?x2xf32>
    return
  }
}

// -----

// C6: a layer ends with its send.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  rshard.route @k key class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
  rshard.route @p partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} {
    %q, %qp = rshard.receive @q layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %k, %v, %p = rshard.receive @k layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?xi32>
    %ks, %vs, %ps = rshard.append %k, %v at %p layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %o, %lse = rshard.partial_attention %q at %qp, %ks, %vs at %ps mask <causal> scale 0.5
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    // expected-error @below {{'func.return' op has no place in a schedule vs the send of the partial attention, which comes next on an AttnNode}}
    return
  }
}

// -----

// Layers of one class have one scale.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  rshard.route @k key class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
  rshard.route @p partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} {
    %q, %qp = rshard.receive @q layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %k, %v, %p = rshard.receive @k layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?xi32>
    %ks, %vs, %ps = rshard.append %k, %v at %p layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %o, %lse = rshard.partial_attention %q at %qp, %ks, %vs at %ps mask <causal> scale 0.5
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    rshard.send @p(%o, %lse) layer %self : tensor<?x2x4xf32>, tensor<?x2xf32>
    %q1, %q1p = rshard.receive @q layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %k1, %v1, %p1 = rshard.receive @k layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?xi32>
    %ks1, %vs1, %ps1 = rshard.append %k1, %v1 at %p1 layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %o1, %lse1 = rshard.partial_attention %q1 at %q1p, %ks1, %vs1 at %ps1 mask <causal> scale 0.25
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    // expected-error @below {{'rshard.send' op has no place in a schedule vs the send of the partial attention, which comes next on an AttnNode}}
    rshard.send @p(%o1, %lse1) layer %self : tensor<?x2x4xf32>, tensor<?x2xf32>
    return
  }
}

// -----

// Layers of one class have one soft cap.
module attributes {rshard.layer_classes = array<i32: 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.route @q query class 0 mask <causal> : [tensor<?x2x4xf32>]
  rshard.route @k key class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2x4xf32>]
  rshard.route @p partial class 0 mask <causal> : [tensor<?x2x4xf32>, tensor<?x2xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} {
    %q, %qp = rshard.receive @q layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %k, %v, %p = rshard.receive @k layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?xi32>
    %ks, %vs, %ps = rshard.append %k, %v at %p layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %o, %lse = rshard.partial_attention %q at %qp, %ks, %vs at %ps mask <causal> scale 0.5
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    rshard.send @p(%o, %lse) layer %self : tensor<?x2x4xf32>, tensor<?x2xf32>
    %q1, %q1p = rshard.receive @q layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %k1, %v1, %p1 = rshard.receive @k layer %self : tensor<?x2x4xf32>, tensor<?x2x4xf32>, tensor<?xi32>
    %ks1, %vs1, %ps1 = rshard.append %k1, %v1 at %p1 layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    %o1, %lse1 = rshard.partial_attention %q1 at %q1p, %ks1, %vs1 at %ps1 mask <causal> scale 0.5 soft_cap 50.0
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    // expected-error @below {{'rshard.send' op has no place in a schedule vs the send of the partial attention, which comes next on an AttnNode}}
    rshard.send @p(%o1, %lse1) layer %self : tensor<?x2x4xf32>, tensor<?x2xf32>
    return
  }
}

// -----

// C5: the client's caches are those of the layers that the CompNodes do not have.
// expected-error @below {{has no attribute 'rshard.layer_classes'}}
module {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} { return }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}

// -----

// C2: a mask by which no route chooses its rows has no tables.
module attributes {rshard.layer_classes = array<i32: 0, 0>} {
  rshard.sharding @R ["period 1: [0,1)"]
  rshard.grid @grid queries(@R) keys(@R)
  rshard.placement @placement rows(@R) grid(@grid) client_layers(1, 0) ranks [0, 0, 0]
  rshard.route @enter enter : [tensor<?x8xf32>]
  rshard.route @leave leave : [tensor<?x8xf32>]
  rshard.weight @table "table" : tensor<16x8xf32>
  func.func private @begin(%layer: index, %tokens: tensor<?xi32>) -> tensor<?x2x4xf32> {
    %table = rshard.parameter @table : tensor<16x8xf32>
    %x = rshard.embedding %tokens of %table : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x2x4xf32>
    return %x : tensor<?x2x4xf32>
  }
  func.func @client(%self: index) attributes {rshard.role = #rshard.role<client>} {
    %tokens = rshard.tokens : tensor<?xi32>
    %p = rshard.positions %self : tensor<?xi32>
    %q = call @begin(%self, %tokens) : (index, tensor<?xi32>) -> tensor<?x2x4xf32>
    %ks, %vs, %ps = rshard.append %q, %q at %p layer %self : tensor<?x2x4xf32>, tensor<?xi32>
    // expected-error @below {{'rshard.partial_attention' op C2: has mask #rshard.mask<full> vs that of a class of routes}}
    %o, %lse = rshard.partial_attention %q at %p, %ks, %vs at %ps mask <full> scale 0.5
        : tensor<?x2x4xf32>, tensor<?xi32>, tensor<?x2x4xf32>, tensor<?xi32> -> tensor<?x2x4xf32>, tensor<?x2xf32>
    return
  }
  func.func @comp(%self: index) attributes {rshard.role = #rshard.role<comp>} { return }
  func.func @attn(%self: index) attributes {rshard.role = #rshard.role<attn>} { return }
}
