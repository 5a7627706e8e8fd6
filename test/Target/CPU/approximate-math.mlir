// RUN: rshard-opt %s --rshard-cpu-approximate-math | FileCheck %s

// CHECK-LABEL: func.func @all(
// CHECK-NOT: math.{{exp|tanh|erf|log|rsqrt}}
// CHECK: math.fma
// CHECK: math.sqrt
// CHECK-NOT: math.{{exp|tanh|erf|log|rsqrt}}
// CHECK: return
func.func @all(%x: vector<16xf32>, %s: f32) -> (vector<16xf32>, f32) {
  %0 = math.exp %x : vector<16xf32>
  %1 = math.tanh %0 : vector<16xf32>
  %2 = math.erf %1 : vector<16xf32>
  %3 = math.log %2 : vector<16xf32>
  %4 = math.exp %s : f32
  %5 = math.rsqrt %4 : f32
  return %3, %5 : vector<16xf32>, f32
}

// Angles of rotary embeddings are too large for the polynomials.
// CHECK-LABEL: func.func @angle(
// CHECK: math.sin
func.func @angle(%x: f32) -> f32 {
  %0 = math.sin %x : f32
  return %0 : f32
}
