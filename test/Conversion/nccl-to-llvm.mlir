// RUN: rshard-opt %s --convert-nccl-to-llvm | FileCheck %s
// RUN: rshard-opt %s --convert-nccl-to-llvm --convert-scf-to-cf --convert-to-llvm --reconcile-unrealized-casts | FileCheck %s --check-prefix=LLVM

// CHECK-DAG: llvm.func @ncclGroupStart() -> i32
// CHECK-DAG: llvm.func @ncclGroupEnd() -> i32
// CHECK-DAG: llvm.func @ncclSend(!llvm.ptr, i64, i32, i32, !llvm.ptr, !llvm.ptr) -> i32
// CHECK-DAG: llvm.func @ncclRecv(!llvm.ptr, i64, i32, i32, !llvm.ptr, !llvm.ptr) -> i32

// CHECK-LABEL: func.func @exchange(
// CHECK-SAME: %[[A:.*]]: memref<?x64xf32>, %[[B:.*]]: memref<8x2xi32>, %[[PEER:.*]]: index, %[[COMM:.*]]: !llvm.ptr, %[[STREAM:.*]]: !llvm.ptr)
// LLVM-LABEL: llvm.func @exchange(
func.func @exchange(%a: memref<?x64xf32>, %b: memref<8x2xi32>, %peer: index, %comm: !nccl.comm, %stream: !nccl.stream) {
  // CHECK: llvm.call @ncclGroupStart() : () -> i32
  // LLVM: llvm.call @ncclGroupStart() : () -> i32
  nccl.group {
    // The number of elements, not of bytes: rows x 64. 7 is ncclFloat32.
    // CHECK: %[[WIDTH:.*]] = llvm.mlir.constant(64 : i64) : i64
    // CHECK: %[[ROWS:.*]] = llvm.extractvalue %{{.*}}[3, 0]
    // CHECK: %[[COUNT:.*]] = llvm.mul %[[WIDTH]], %[[ROWS]] : i64
    // CHECK: %[[TYPE:.*]] = llvm.mlir.constant(7 : i32) : i32
    // CHECK: %[[RANK:.*]] = llvm.trunc %{{.*}} : i64 to i32
    // CHECK: llvm.call @ncclSend(%{{.*}}, %[[COUNT]], %[[TYPE]], %[[RANK]], %[[COMM]], %[[STREAM]]) : (!llvm.ptr, i64, i32, i32, !llvm.ptr, !llvm.ptr) -> i32
    // LLVM: llvm.call @ncclSend(
    nccl.send %a to %peer on %comm, %stream : memref<?x64xf32>
    // CHECK: %[[COUNT:.*]] = llvm.mlir.constant(16 : i64) : i64
    // CHECK: %[[TYPE:.*]] = llvm.mlir.constant(2 : i32) : i32
    // CHECK: llvm.call @ncclRecv(%{{.*}}, %[[COUNT]], %[[TYPE]], %{{.*}}, %[[COMM]], %[[STREAM]])
    // LLVM: llvm.call @ncclRecv(
    nccl.recv %b from %peer on %comm, %stream : memref<8x2xi32>
  }
  // CHECK: llvm.call @ncclGroupEnd() : () -> i32
  // LLVM: llvm.call @ncclGroupEnd() : () -> i32
  // LLVM-NEXT: llvm.return
  return
}

// A part of a buffer starts at its offset.
// CHECK-LABEL: func.func @offset
func.func @offset(%a: memref<?x64xf32, strided<[64, 1], offset: ?>>, %peer: index, %comm: !nccl.comm, %stream: !nccl.stream) {
  nccl.group {
    // CHECK: %[[ALIGNED:.*]] = llvm.extractvalue %{{.*}}[1]
    // CHECK: %[[OFFSET:.*]] = llvm.extractvalue %{{.*}}[2]
    // CHECK: %[[DATA:.*]] = llvm.getelementptr %[[ALIGNED]][%[[OFFSET]]] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    // CHECK: llvm.call @ncclSend(%[[DATA]],
    nccl.send %a to %peer on %comm, %stream : memref<?x64xf32, strided<[64, 1], offset: ?>>
  }
  return
}

// NCCL's numbers for the element types that nccl.send takes.
// CHECK-LABEL: func.func @types
func.func @types(%i8: memref<1xi8>, %i64: memref<1xi64>, %f16: memref<1xf16>, %f64: memref<1xf64>, %bf16: memref<1xbf16>,
                 %peer: index, %comm: !nccl.comm, %stream: !nccl.stream) {
  nccl.group {
    // CHECK: llvm.mlir.constant(0 : i32) : i32
    // CHECK: llvm.call @ncclSend
    nccl.send %i8 to %peer on %comm, %stream : memref<1xi8>
    // CHECK: llvm.mlir.constant(4 : i32) : i32
    // CHECK: llvm.call @ncclSend
    nccl.send %i64 to %peer on %comm, %stream : memref<1xi64>
    // CHECK: llvm.mlir.constant(6 : i32) : i32
    // CHECK: llvm.call @ncclSend
    nccl.send %f16 to %peer on %comm, %stream : memref<1xf16>
    // CHECK: llvm.mlir.constant(8 : i32) : i32
    // CHECK: llvm.call @ncclSend
    nccl.send %f64 to %peer on %comm, %stream : memref<1xf64>
    // CHECK: llvm.mlir.constant(9 : i32) : i32
    // CHECK: llvm.call @ncclSend
    nccl.send %bf16 to %peer on %comm, %stream : memref<1xbf16>
  }
  return
}

// A loop inside a group stays between its two calls, down to branches.
// CHECK-LABEL: func.func @loop
// LLVM-LABEL: llvm.func @loop
func.func @loop(%a: memref<?x64xf32>, %n: index, %comm: !nccl.comm, %stream: !nccl.stream) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: llvm.call @ncclGroupStart
  // LLVM: llvm.call @ncclGroupStart
  nccl.group {
    // CHECK: scf.for
    // LLVM: llvm.cond_br
    scf.for %peer = %c0 to %n step %c1 {
      // CHECK: llvm.call @ncclSend
      // LLVM: llvm.call @ncclSend
      nccl.send %a to %peer on %comm, %stream : memref<?x64xf32>
    }
  }
  // CHECK: llvm.call @ncclGroupEnd
  // LLVM: llvm.call @ncclGroupEnd
  return
}

// Communicators and streams are pointers in calls and results.
// CHECK-LABEL: func.func @pass(
// CHECK-SAME: %[[COMM:.*]]: !llvm.ptr, %[[STREAM:.*]]: !llvm.ptr) -> (!llvm.ptr, !llvm.ptr)
func.func @pass(%comm: !nccl.comm, %stream: !nccl.stream) -> (!nccl.comm, !nccl.stream) {
  // CHECK: %[[R:.*]]:2 = call @pass(%[[COMM]], %[[STREAM]]) : (!llvm.ptr, !llvm.ptr) -> (!llvm.ptr, !llvm.ptr)
  %c, %s = func.call @pass(%comm, %stream) : (!nccl.comm, !nccl.stream) -> (!nccl.comm, !nccl.stream)
  // CHECK: return %[[R]]#0, %[[R]]#1
  return %c, %s : !nccl.comm, !nccl.stream
}
