// RUN: rshard-interpret %s --random-weights 1 --tokens 3,1,4 -o %t.npy
// RUN: rshard-opt %s --rshard-plan="comp=2 cluster=1" --rshard-partition -o %t.mlir
// RUN: rshard-interpret %t.mlir --random-weights 1 --tokens 3,1,4 --steps 2,1 --capacity 8 --f32 -o %t.npy

// Bad input is one line and exit status 1.
// RUN: not rshard-interpret %s --random-weights 1 --tokens 3,x -o %t.npy 2>&1 | FileCheck %s --check-prefix=NUMBER
// NUMBER: error: token 'x' vs an integer
// RUN: not rshard-interpret %s --tokens 3 -o %t.npy 2>&1 | FileCheck %s --check-prefix=WEIGHTS
// WEIGHTS: error: {{.*}} (--weights names the model's files)
// RUN: not rshard-interpret %s --random-weights 1 --tokens 3,10 -o %t.npy 2>&1 | FileCheck %s --check-prefix=ID
// ID: error: 'rshard.embedding' op id 10 vs 0 to 9
// RUN: not rshard-interpret %s --random-weights 1 --tokens 3,1 --steps 1,1 -o %t.npy 2>&1 | FileCheck %s --check-prefix=MODEL
// MODEL: error: --steps and --capacity: a module of the model phase takes all tokens at once
// RUN: not rshard-interpret %t.mlir --random-weights 1 --tokens 3,1,4 --capacity 2 -o %t.npy 2>&1 | FileCheck %s --check-prefix=CAPACITY
// CAPACITY: error: step of 3 rows at position 0 vs 1 to 2
// RUN: not rshard-interpret %t.mlir --random-weights 1 --tokens 3,1,4 --steps 2,2 -o %t.npy 2>&1 | FileCheck %s --check-prefix=STEP
// STEP: error: step of 2 tokens vs 1 to 1

rshard.weight @embedding "embedding" : tensor<10x8xf32>
rshard.weight @norm "{}.norm" layers [0, 2) : tensor<8xf32>
rshard.rotary @rope [1.0, 0.1] scale 1.0

func.func private @decoder(%layer: index, %x: tensor<?x8xf32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %n = rshard.parameter @norm[%layer] : tensor<8xf32>
  %h = rshard.norm rms %x, %n eps 1.0e-05 : tensor<?x8xf32>, tensor<8xf32>
  %w = rshard.parameter @w : tensor<8x8xf32>
  %q0 = rshard.linear %h, %w : (tensor<?x8xf32>, tensor<8x8xf32>) -> tensor<?x2x4xf32>
  %q = rshard.rope %q0 at %positions by @rope : tensor<?x2x4xf32>, tensor<?xi32>
  %o = rshard.attention %q, %q, %q0 mask <causal> scale 0.5 : tensor<?x2x4xf32>, tensor<?x2x4xf32>
  %y = rshard.linear %o, %w : (tensor<?x2x4xf32>, tensor<8x8xf32>) -> tensor<?x8xf32>
  %z = rshard.add %x, %y : tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}
rshard.weight @w "w" : tensor<8x8xf32>

func.func @main(%tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x8xf32> {
  %table = rshard.parameter @embedding : tensor<10x8xf32>
  %x = rshard.embedding %tokens of %table : (tensor<?xi32>, tensor<10x8xf32>) -> tensor<?x8xf32>
  %y = rshard.layers [@decoder] [0, 0] (%x, %positions) : tensor<?x8xf32>, tensor<?xi32>
  return %y : tensor<?x8xf32>
}
