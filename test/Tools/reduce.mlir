// RUN: rshard-reduce %s -reduction-tree='traversal-mode=0 test=%S/Inputs/holds-rotary.sh' | FileCheck %s

// What does not matter for the interesting property goes.
// CHECK-NOT: rshard.weight
// CHECK: rshard.rotary @rope
// CHECK-NOT: rshard.weight

rshard.weight @a "a" : tensor<4x8xf32>
rshard.rotary @rope [1.0] scale 1.0
rshard.weight @b "b" : tensor<4x8xf32>
