// RUN: rshard-opt %s --split-input-file --verify-diagnostics

// C1: a position that no set owns.
// expected-error @below {{'rshard.sharding' op C1: position 6 is owned by no set of R}}
rshard.sharding @R ["period 7: [0,2)", "period 7: [2,4)", "period 7: [4,6)"]

// -----

// C1: a position that two sets own.
// expected-error @below {{'rshard.sharding' op C1: position 2 is owned twice, by R[0] and R[1]}}
rshard.sharding @R ["period 7: [0,3)", "period 7: [2,7)"]

// -----

// expected-error @below {{'rshard.sharding' op sets: 0 vs at least 1}}
rshard.sharding @R []

// -----

// expected-error @below {{'rshard.sharding' op set 1: }}
rshard.sharding @R ["period 7: [0,2)", "every 7: [2,7)"]

// -----

rshard.sharding @S ["period 1: [0,1)"]
// expected-error @below {{'rshard.grid' op refers to @Q: no rshard.sharding of this name}}
rshard.grid @grid queries(@Q) keys(@S)

// -----

rshard.sharding @S ["period 1: [0,1)"]
// expected-error @below {{'rshard.grid' op refers to @grid: no rshard.sharding of this name}}
rshard.grid @grid queries(@S) keys(@grid)

// -----

// expected-error @below {{'rshard.placement' op client layers: -1, 0 vs at least 0, 0}}
rshard.placement @p rows(@R) grid(@g) client_layers(-1, 0) ranks [0, 0, 0]

// -----

// expected-error @below {{'rshard.placement' op client layers: 4294967296, 0 vs at most 2147483647 together}}
rshard.placement @p rows(@R) grid(@g) client_layers(4294967296, 0) ranks [0, 0, 0]

// -----

// expected-error @below {{'rshard.placement' op client layers: 1, 2147483647 vs at most 2147483647 together}}
rshard.placement @p rows(@R) grid(@g) client_layers(1, 2147483647) ranks [0, 0, 0]

// -----

// expected-error @below {{'rshard.placement' op rank of node 2: 3 vs 0 to 2}}
rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) ranks [0, 1, 3]

// -----

// expected-error @below {{'rshard.placement' op rank of node 1: -1 vs 0 to 2}}
rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) ranks [0, -1, 1]

// -----

// expected-error @below {{'rshard.placement' op ranks: no node on rank 1 vs ranks 0 to 2 without a hole}}
rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) ranks [0, 0, 2]

// -----

// expected-error @below {{'rshard.placement' op refers to @R: no rshard.sharding of this name}}
rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) ranks [0, 0, 0]
rshard.sharding @S ["period 1: [0,1)"]
rshard.grid @g queries(@S) keys(@S)

// -----

rshard.sharding @R ["period 1: [0,1)"]
// expected-error @below {{'rshard.placement' op refers to @g: no rshard.grid of this name}}
rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) ranks [0, 0, 0]

// -----

rshard.sharding @R ["period 2: [0,1)", "period 2: [1,2)"]
// expected-note @below {{2 x 2 cells, beside the client and 2 CompNodes}}
rshard.grid @g queries(@R) keys(@R)
// expected-error @below {{'rshard.placement' op ranks: 3 vs 7 nodes}}
rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) ranks [0, 0, 0]

// -----

rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @g queries(@R) keys(@R)
// expected-error @below {{'rshard.placement' op client layers: 1 + 1 vs less than 2}}
rshard.placement @p rows(@R) grid(@g) client_layers(1, 1) ranks [0, 0, 0]
func.func private @a(%l: index, %x: tensor<?x1x8xf32>, %p: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %o = rshard.attention %x, %x, %x mask <full> scale 1.0 : tensor<?x1x8xf32>, tensor<?x1x8xf32>
  return %o : tensor<?x1x8xf32>
}
func.func @main(%x: tensor<?x1x8xf32>, %p: tensor<?xi32>) {
  // expected-note @below {{the model's layers: one must remain for the nodes}}
  %y = rshard.layers [@a] [0, 0] (%x, %p) : tensor<?x1x8xf32>, tensor<?xi32>
  return
}

// -----

rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @g queries(@R) keys(@R)
// expected-error @below {{'rshard.placement' op activations: 'bf16' vs 'f32'}}
rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) types <activations = bf16, partials = f32> ranks [0, 0, 0]
func.func private @a(%l: index, %x: tensor<?x1x8xf32>, %p: tensor<?xi32>) -> tensor<?x1x8xf32> {
  // expected-note @below {{rows here}}
  %o = rshard.attention %x, %x, %x mask <full> scale 1.0 : tensor<?x1x8xf32>, tensor<?x1x8xf32>
  return %o : tensor<?x1x8xf32>
}

// -----

rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @g queries(@R) keys(@R)
// expected-error @below {{'rshard.placement' op activations: 'f32' vs 'f16'}}
rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) ranks [0, 0, 0]
func.func @main(%x: tensor<?x1x8xf16>, %p: tensor<?xi32>) {
  // expected-note @below {{rows here}}
  %y = rshard.layers [@a] [0, 0] (%x, %p) : tensor<?x1x8xf16>, tensor<?xi32>
  return
}
func.func private @a(%l: index, %x: tensor<?x1x8xf16>, %p: tensor<?xi32>) -> tensor<?x1x8xf16> {
  %o = rshard.attention %x, %x, %x mask <full> scale 1.0 : tensor<?x1x8xf16>, tensor<?x1x8xf16>
  return %o : tensor<?x1x8xf16>
}

// -----

rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @g queries(@R) keys(@R)
// expected-error @below {{'rshard.placement' op partials: 'bf16' vs 'f32'}}
rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) types <activations = bf16, partials = bf16> ranks [0, 0, 0]
// expected-note @below {{rows here}}
rshard.route @partial0 partial class 0 mask <causal> : [tensor<?x4x16xf32>, tensor<?x4xf32>]

// -----

rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @g queries(@R) keys(@R)
// expected-error @below {{'rshard.placement' op activations: 'f32' vs 'bf16'}}
rshard.placement @p rows(@R) grid(@g) client_layers(0, 0) ranks [0, 0, 0]
// expected-note @below {{rows here}}
rshard.route @key0 key class 0 mask <causal> : [tensor<?x2x16xbf16>, tensor<?x2x16xbf16>]
