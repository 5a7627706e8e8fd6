// RUN: rshard-opt %s --canonicalize --cse | FileCheck %s

// Messages are seen by other ranks: none is dead, though nothing here reads what was received, and none moves
// across another.
// CHECK-LABEL: func.func @exchange
func.func @exchange(%comm: !nccl.comm, %stream: !nccl.stream, %peer: index, %a: memref<?x64xf32>, %b: memref<8xi32>) {
  // CHECK: nccl.group {
  // CHECK-NEXT: nccl.send %{{.*}} : memref<?x64xf32>
  // CHECK-NEXT: nccl.recv %{{.*}} : memref<8xi32>
  // CHECK-NEXT: nccl.send %{{.*}} : memref<?x64xf32>
  // CHECK-NEXT: nccl.recv %{{.*}} : memref<8xi32>
  // CHECK-NEXT: }
  nccl.group {
    nccl.send %a to %peer on %comm, %stream : memref<?x64xf32>
    nccl.recv %b from %peer on %comm, %stream : memref<8xi32>
    nccl.send %a to %peer on %comm, %stream : memref<?x64xf32>
    nccl.recv %b from %peer on %comm, %stream : memref<8xi32>
  }
  return
}
