// RUN: rshard-opt %s | rshard-opt | FileCheck %s
// RUN: rshard-opt %s --mlir-print-op-generic | rshard-opt | FileCheck %s

// CHECK-LABEL: func.func @exchange
// CHECK-SAME: %[[COMM:.*]]: !nccl.comm, %[[STREAM:.*]]: !nccl.stream, %[[PEER:.*]]: index
func.func @exchange(%comm: !nccl.comm, %stream: !nccl.stream, %peer: index,
                    %a: memref<?x64xf32>, %b: memref<8xi32>, %c: memref<?x4xbf16, strided<[4, 1], offset: ?>>,
                    %f64: memref<?xf64>, %f16: memref<?xf16>, %i64: memref<?xi64>, %i8: memref<?xi8>) {
  // CHECK: nccl.group {
  nccl.group {
    // CHECK-NEXT: nccl.send %{{.*}} to %[[PEER]] on %[[COMM]], %[[STREAM]] : memref<?x64xf32>
    nccl.send %a to %peer on %comm, %stream : memref<?x64xf32>
    // CHECK-NEXT: nccl.recv %{{.*}} from %[[PEER]] on %[[COMM]], %[[STREAM]] : memref<8xi32>
    nccl.recv %b from %peer on %comm, %stream : memref<8xi32>
    // CHECK-NEXT: nccl.recv %{{.*}} from %[[PEER]] on %[[COMM]], %[[STREAM]] : memref<?x4xbf16, strided<[4, 1], offset: ?>>
    nccl.recv %c from %peer on %comm, %stream : memref<?x4xbf16, strided<[4, 1], offset: ?>>
    nccl.send %f64 to %peer on %comm, %stream : memref<?xf64>
    nccl.send %f16 to %peer on %comm, %stream : memref<?xf16>
    nccl.send %i64 to %peer on %comm, %stream : memref<?xi64>
    nccl.send %i8 to %peer on %comm, %stream : memref<?xi8>
  }
  // A group may be empty: a rank that has nothing to say in an exchange.
  // CHECK: nccl.group {
  // CHECK-NEXT: }
  nccl.group {
  }
  return
}
