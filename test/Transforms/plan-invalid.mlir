// RUN: rshard-opt %s --split-input-file --verify-diagnostics --rshard-plan

// expected-error @below {{holds no rshard.layers vs a module of the model or planned phase}}
module {}

// -----

rshard.sharding @R ["period 1: [0,1)"]
rshard.grid @grid queries(@R) keys(@R)
// expected-error @below {{'rshard.placement' op is there already vs a module without a plan}}
rshard.placement @placement rows(@R) grid(@grid) client_layers(0, 0) ranks [0, 0, 0]
func.func private @layer(%layer: index, %x: tensor<?x1x8xf32>, %positions: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %o = rshard.attention %x, %x, %x mask <causal> scale 0.5 : tensor<?x1x8xf32>, tensor<?x1x8xf32>
  return %o : tensor<?x1x8xf32>
}
func.func @main(%x: tensor<?x1x8xf32>, %positions: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %y = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x1x8xf32>, tensor<?xi32>
  return %y : tensor<?x1x8xf32>
}

// -----

func.func private @layer(%layer: index, %x: tensor<?x1x8xf32>, %positions: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %o = rshard.attention %x, %x, %x mask <causal> scale 0.5 : tensor<?x1x8xf32>, tensor<?x1x8xf32>
  return %o : tensor<?x1x8xf32>
}
func.func @main(%x: tensor<?x1x8xf32>, %positions: tensor<?xi32>, %again: i1) -> tensor<?x1x8xf32> {
  %z = scf.if %again -> tensor<?x1x8xf32> {
    // expected-error @below {{'rshard.layers' op stands elsewhere vs in the only block of a function of the module}}
    %y = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x1x8xf32>, tensor<?xi32>
    scf.yield %y : tensor<?x1x8xf32>
  } else {
    scf.yield %x : tensor<?x1x8xf32>
  }
  return %z : tensor<?x1x8xf32>
}

// -----

// The plan and later phases declare symbols beside those of the model.
// expected-error @below {{'rshard.weight' op is called @R vs a name that no later phase declares}}
rshard.weight @R "w" : tensor<8x8xf32>
func.func private @layer(%layer: index, %x: tensor<?x1x8xf32>, %positions: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %o = rshard.attention %x, %x, %x mask <causal> scale 0.5 : tensor<?x1x8xf32>, tensor<?x1x8xf32>
  return %o : tensor<?x1x8xf32>
}
func.func @main(%x: tensor<?x1x8xf32>, %positions: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %y = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x1x8xf32>, tensor<?xi32>
  return %y : tensor<?x1x8xf32>
}

// -----

// expected-error @below {{'rshard.weight' op is called @grid vs a name that no later phase declares}}
rshard.weight @grid "w" : tensor<8x8xf32>
func.func private @layer(%layer: index, %x: tensor<?x1x8xf32>, %positions: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %o = rshard.attention %x, %x, %x mask <causal> scale 0.5 : tensor<?x1x8xf32>, tensor<?x1x8xf32>
  return %o : tensor<?x1x8xf32>
}
func.func @main(%x: tensor<?x1x8xf32>, %positions: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %y = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x1x8xf32>, tensor<?xi32>
  return %y : tensor<?x1x8xf32>
}

// -----

// expected-error @below {{'rshard.weight' op is called @result vs a name that no later phase declares}}
rshard.weight @result "w" : tensor<8x8xf32>
func.func private @layer(%layer: index, %x: tensor<?x1x8xf32>, %positions: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %o = rshard.attention %x, %x, %x mask <causal> scale 0.5 : tensor<?x1x8xf32>, tensor<?x1x8xf32>
  return %o : tensor<?x1x8xf32>
}
func.func @main(%x: tensor<?x1x8xf32>, %positions: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %y = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x1x8xf32>, tensor<?xi32>
  return %y : tensor<?x1x8xf32>
}

// -----

// expected-error @below {{'rshard.weight' op is called @workspace vs a name that no later phase declares}}
rshard.weight @workspace "w" : tensor<8x8xf32>
func.func private @layer(%layer: index, %x: tensor<?x1x8xf32>, %positions: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %o = rshard.attention %x, %x, %x mask <causal> scale 0.5 : tensor<?x1x8xf32>, tensor<?x1x8xf32>
  return %o : tensor<?x1x8xf32>
}
func.func @main(%x: tensor<?x1x8xf32>, %positions: tensor<?xi32>) -> tensor<?x1x8xf32> {
  %y = rshard.layers [@layer] [0] (%x, %positions) : tensor<?x1x8xf32>, tensor<?xi32>
  return %y : tensor<?x1x8xf32>
}
