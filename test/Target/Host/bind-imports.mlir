// RUN: rshard-opt %s --split-input-file --rshard-bind-imports --verify-diagnostics | FileCheck %s

// The order is the ABI's; what is not in the ABI stays a declaration.
// CHECK: llvm.mlir.global external protected @rshard_imports() {{.*}} : !llvm.array<7 x ptr> {
// CHECK-NEXT: %[[ZERO:.*]] = llvm.mlir.zero : !llvm.array<7 x ptr>
// CHECK-NEXT: llvm.return %[[ZERO]]
// CHECK: llvm.func @getenv(!llvm.ptr) -> !llvm.ptr
llvm.func @getenv(!llvm.ptr) -> !llvm.ptr

// CHECK-LABEL: llvm.func internal @rshard_exchange(
// CHECK-SAME: %[[FRAME:.*]]: !llvm.ptr, %[[EXCHANGE:.*]]: i32, %[[LAYER:.*]]: i32)
// CHECK-NEXT: %[[TABLE:.*]] = llvm.mlir.addressof @rshard_imports
// CHECK-NEXT: %[[ENTRY:.*]] = llvm.getelementptr inbounds %[[TABLE]][0, 0]
// CHECK-NEXT: %[[FUNCTION:.*]] = llvm.load %[[ENTRY]]
// CHECK-NEXT: llvm.call %[[FUNCTION]](%[[FRAME]], %[[EXCHANGE]], %[[LAYER]])
// CHECK-NEXT: llvm.return
llvm.func @rshard_exchange(!llvm.ptr, i32, i32)

// CHECK-LABEL: llvm.func internal @ncclRecv(
// CHECK: llvm.getelementptr inbounds %{{.*}}[0, 6]
// CHECK: %[[RESULT:.*]] = llvm.call %{{.*}}(%{{.*}}) : !llvm.ptr, (!llvm.ptr, i64, i32, i32, !llvm.ptr, !llvm.ptr) -> i32
// CHECK: llvm.return %[[RESULT]] : i32
llvm.func @ncclRecv(!llvm.ptr, i64, i32, i32, !llvm.ptr, !llvm.ptr) -> i32

// -----

// Code that calls nothing exports the table all the same: the loader asks for it.
// CHECK: llvm.mlir.global external protected @rshard_imports()
llvm.func @step() {
  llvm.return
}

// -----

// expected-error @below {{is a function of the runtime, which the code may only declare}}
llvm.func @ncclGroupEnd() -> i32 {
  %0 = llvm.mlir.constant(0 : i32) : i32
  llvm.return %0 : i32
}

// -----

// expected-error @below {{has the name of the table of imports, which is added once}}
llvm.mlir.global external @rshard_imports() : !llvm.ptr
