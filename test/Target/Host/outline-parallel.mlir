// RUN: rshard-opt %s --split-input-file --verify-diagnostics --rshard-outline-parallel | FileCheck %s

// CHECK: func.func private @rshard_parallel_for(!llvm.ptr, !llvm.ptr, i64)

// The context holds the memref and the bound; the constants are rebuilt.
// CHECK-LABEL: func.func private @twice(
// CHECK: %[[CONTEXT:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>, i64)>
// CHECK-COUNT-2: llvm.store
// CHECK: %[[FUNCTION:.*]] = constant @twice_parallel0 : (!llvm.ptr, i64, i64) -> ()
// CHECK: %[[POINTER:.*]] = builtin.unrealized_conversion_cast %[[FUNCTION]]
// CHECK: %[[COUNT:.*]] = arith.index_cast %{{.*}} : index to i64
// CHECK: call @rshard_parallel_for(%[[POINTER]], %[[CONTEXT]], %[[COUNT]])
// CHECK-NOT: scf.parallel
func.func private @twice(%x: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %v = memref.load %x[%i] : memref<?xf32>
    %w = arith.addf %v, %v : f32
    memref.store %w, %x[%i] : memref<?xf32>
  }
  return
}

// CHECK-LABEL: func.func private @twice_parallel0(
// CHECK-SAME: %[[ARGUMENT:.*]]: !llvm.ptr, %[[BEGIN:.*]]: i64, %[[END:.*]]: i64)
// CHECK-COUNT-2: llvm.load
// CHECK: %[[LOW:.*]] = arith.index_cast %[[BEGIN]] : i64 to index
// CHECK: %[[HIGH:.*]] = arith.index_cast %[[END]] : i64 to index
// CHECK: scf.for %{{.*}} = %[[LOW]] to %[[HIGH]]
// CHECK: memref.store

// -----

// Two dimensions, row-major, in a nest whose inner loop stays sequential; the
// stack buffer leaves the loop.
// CHECK-LABEL: func.func private @nest(
// CHECK: call @rshard_parallel_for
// CHECK-LABEL: func.func private @nest_parallel0(
// CHECK-NEXT: memref.alloca
// CHECK: scf.for %[[AT:.*]] =
// CHECK: %[[COLUMN:.*]] = arith.remui %[[AT]], %[[COLUMNS:.*]] : index
// CHECK: %[[ROW:.*]] = arith.divui %[[AT]], %[[COLUMNS]] : index
// CHECK: scf.parallel
// CHECK: memref.load %{{.*}}[%[[ROW]], %[[COLUMN]]]
func.func private @nest(%x: memref<?x?xf32>, %n: index, %m: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i, %j) = (%c0, %c0) to (%n, %m) step (%c1, %c1) {
    %tile = memref.alloca() : memref<8xf32>
    scf.parallel (%k) = (%c0) to (%m) step (%c1) {
      %v = memref.load %x[%i, %j] : memref<?x?xf32>
      memref.store %v, %tile[%k] : memref<8xf32>
    }
  }
  return
}

// -----

func.func private @sum(%x: memref<?xf32>, %n: index) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  // expected-error @below {{computes a reduction, whose order would depend on threads: only loops without results can be outlined}}
  %sum = scf.parallel (%i) = (%c0) to (%n) step (%c1) init (%zero) -> f32 {
    %v = memref.load %x[%i] : memref<?xf32>
    scf.reduce(%v : f32) {
    ^bb0(%a: f32, %b: f32):
      %c = arith.addf %a, %b : f32
      scf.reduce.return %c : f32
    }
  }
  return %sum : f32
}

// -----

%c0 = arith.constant 0 : index
%c1 = arith.constant 1 : index
// expected-error @below {{'scf.parallel' op is not in a function}}
scf.parallel (%i) = (%c0) to (%c1) step (%c1) {
}
