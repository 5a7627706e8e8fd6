// RUN: rshard-opt %s --split-input-file --verify-diagnostics --rshard-partition

// What the caller gives is not what the attention needs.
rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
func.func private @attend(%layer: index, %rows: tensor<?x9x16xf32>, %positions: tensor<?xi32>) -> tensor<?x4x16xf32> {
  %q = rshard.heads %rows [0, 4) : tensor<?x9x16xf32> -> tensor<?x4x16xf32>
  %k = rshard.heads %rows [4, 6) : tensor<?x9x16xf32> -> tensor<?x2x16xf32>
  // expected-note @below {{the query, key and value heads of this attention, one behind the other}}
  %o = rshard.attention %q, %k, %k mask <causal> scale 0.25 on @grid : tensor<?x4x16xf32>, tensor<?x2x16xf32>
  return %o : tensor<?x4x16xf32>
}
func.func @main(%rows: tensor<?x9x16xf32>, %positions: tensor<?xi32>) -> tensor<?x4x16xf32> {
  // expected-error @below {{'rshard.layers' op takes the rows of the caller: 'tensor<?x9x16xf32>' vs 'tensor<?x8x16xf32>'}}
  %o = rshard.layers [@attend] [0] (%rows, %positions) : tensor<?x9x16xf32>, tensor<?xi32> -> tensor<?x4x16xf32>
  return %o : tensor<?x4x16xf32>
}

// -----

// Nothing is computed on the client before the rows are sent.
rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
func.func private @attend(%layer: index, %rows: tensor<?x3x16xf32>, %positions: tensor<?xi32>) -> tensor<?x3x16xf32> {
  %q = rshard.heads %rows [0, 1) : tensor<?x3x16xf32> -> tensor<?x1x16xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.25 on @grid : tensor<?x1x16xf32>, tensor<?x1x16xf32>
  return %rows : tensor<?x3x16xf32>
}
func.func @main(%rows: tensor<?x3x16xf32>, %positions: tensor<?xi32>) -> tensor<?x3x16xf32> {
  %x = rshard.activation relu %rows : tensor<?x3x16xf32>
  // expected-error @below {{'rshard.layers' op takes other rows vs the first argument of @main, the rows of the caller}}
  %o = rshard.layers [@attend] [0] (%x, %positions) : tensor<?x3x16xf32>, tensor<?xi32>
  return %o : tensor<?x3x16xf32>
}

// -----

// A second layer would need a caller of its own.
rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
func.func private @attend(%layer: index, %rows: tensor<?x3x16xf32>, %positions: tensor<?xi32>) -> tensor<?x3x16xf32> {
  %q = rshard.heads %rows [0, 1) : tensor<?x3x16xf32> -> tensor<?x1x16xf32>
  %o = rshard.attention %q, %q, %q mask <causal> scale 0.25 on @grid : tensor<?x1x16xf32>, tensor<?x1x16xf32>
  return %rows : tensor<?x3x16xf32>
}
func.func @main(%rows: tensor<?x3x16xf32>, %positions: tensor<?xi32>) -> tensor<?x3x16xf32> {
  // expected-error @below {{'rshard.layers' op takes the rows of the caller: 2 layers vs 1}}
  %o = rshard.layers [@attend] [0, 0] (%rows, %positions) : tensor<?x3x16xf32>, tensor<?xi32>
  return %o : tensor<?x3x16xf32>
}
