// RUN: rshard-opt %s --split-input-file --verify-diagnostics --rshard-partition

// expected-error @below {{holds no rshard.placement vs a module of the planned phase}}
module {}

// -----

// An op that says nothing about its tokens.
rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
rshard.weight @w "layers.{}.w" layers [0, 1) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 on @grid : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  // expected-error @below {{'arith.addf' op has no rule for its tokens: it cannot be sharded}}
  %z = arith.addf %x, %y : tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}

// -----

// Behind the layers only rows come back to the client.
rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
rshard.weight @w "layers.{}.w" layers [0, 1) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 on @grid : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  // expected-error @below {{behind the layers depends on tokens or positions}}
  %f = rshard.embedding %positions of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %z = rshard.add %y, %f : tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

// All layers share a rank's pools and caches.
rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
rshard.weight @w "layers.{}.w" layers [0, 3) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
func.func private @wide(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  // expected-note @below {{in another layer}}
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 on @grid : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func private @narrow(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x4x2xf32>
  // expected-error @below {{heads: 'tensor<?x4x2xf32>', 'tensor<?x4x2xf32>' vs 'tensor<?x2x4xf32>', 'tensor<?x2x4xf32>'}}
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 on @grid : tensor<?x4x2xf32>, tensor<?x4x2xf32>
  %y = rshard.linear %o, %w : (tensor<?x4x2xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@wide, @narrow] [0, 1, 0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}

// -----

// The partitioner's own names are not the user's.
rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
rshard.weight @w "layers.{}.w" layers [0, 3) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
// expected-error @below {{is called @comp vs a name that the partitioned phase does not use}}
func.func private @comp(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 on @grid : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@comp] [0, 0, 0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}

// -----

rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
rshard.weight @w "layers.{}.w" layers [0, 3) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 on @grid : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  // expected-note @below {{the first one}}
  %z = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  // expected-error @below {{is the second one vs 1}}
  %y = rshard.layers [@layer] [0] (%z, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}

// -----

// C4: the client and the CompNodes know the positions of the model's second argument.
rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
rshard.weight @w "layers.{}.w" layers [0, 1) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 on @grid : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  // expected-error @below {{'rshard.layers' op positions are not the second argument of the model}}
  %y = rshard.layers [@layer] [0] (%x, %tokens) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}

// -----

// C2: outside of a layer nobody shards the keys.
rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
rshard.weight @w "layers.{}.w" layers [0, 1) : tensor<8x8xf32>
rshard.weight @u "u" : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 on @grid : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x2x4xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  %u = rshard.parameter @u : tensor<8x8xf32>
  %q = rshard.linear %y, %u : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  // expected-error @below {{'rshard.attention' op mixes tokens outside of a layer: it cannot be sharded}}
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  return %o : tensor<?x2x4xf32>
}

// -----

// C1: one plan says who holds which rows.
rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
// expected-note @below {{the first one}}
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
// expected-error @below {{'rshard.placement' op is the second one vs 1}}
rshard.placement @other rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
rshard.weight @w "layers.{}.w" layers [0, 1) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 on @grid : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}

// -----

// C2: the cells of the plan are those of its placement.
rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
rshard.grid @other queries(@R) keys(@R)
// expected-note @below {{the grid whose cells have ranks}}
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
rshard.weight @w "layers.{}.w" layers [0, 1) : tensor<8x8xf32>
rshard.weight @e "e" : tensor<16x8xf32>
func.func private @layer(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %w = rshard.parameter @w[%layer] : tensor<8x8xf32>
  %q = rshard.linear %x, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  // expected-error @below {{'rshard.attention' op runs on @other vs @grid}}
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.5 on @other : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = rshard.parameter @e : tensor<16x8xf32>
  %x = rshard.embedding %tokens of %e : (tensor<?xi32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}
