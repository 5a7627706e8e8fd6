//===- Passes.td - passes of host code --------------------*- tablegen -*-===//

#ifndef RSHARD_TARGET_HOST_PASSES
#define RSHARD_TARGET_HOST_PASSES

include "mlir/Pass/PassBase.td"

def OutlineParallel : Pass<"rshard-outline-parallel", "mlir::ModuleOp"> {
  let summary = "Turn threaded loops into functions that the runtime's threads call";
  let description = [{
    Every outermost `scf.parallel` becomes a private function that computes a
    range of the loop's iterations, counted row-major, and a call of
    `rshard_parallel_for(function, context, iterations)`. The context is a struct
    on the caller's stack that holds the values which the loop uses; constants
    are recomputed instead. Parallel loops inside a parallel loop run
    sequentially. Static stack buffers of the body move to the top of the new
    function, so that its stack does not grow with the number of iterations.

    The number of iterations depends on shapes alone, never on the number of
    threads (C9).

    ```mlir
    // loop.mlir
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
    ```

    becomes, with the context's loads and stores left out

    ```mlir
    // rshard-opt loop.mlir --rshard-outline-parallel
    func.func private @rshard_parallel_for(!llvm.ptr, !llvm.ptr, i64)
    func.func private @twice(%x: memref<?xf32>, %n: index) {
      %one = llvm.mlir.constant(1 : i64) : i64
      %context = llvm.alloca %one x ... : (i64) -> !llvm.ptr
      ...
      %function = constant @twice_parallel0 : (!llvm.ptr, i64, i64) -> ()
      %pointer = builtin.unrealized_conversion_cast %function : ...
      %iterations = arith.index_cast %n : index to i64
      call @rshard_parallel_for(%pointer, %context, %iterations) : (!llvm.ptr, !llvm.ptr, i64) -> ()
      return
    }
    func.func private @twice_parallel0(%values: !llvm.ptr, %begin: i64, %end: i64) {
      ...
      %first = arith.index_cast %begin : i64 to index
      %last = arith.index_cast %end : i64 to index
      %step = arith.constant 1 : index
      scf.for %i = %first to %last step %step {
        %v = memref.load %rows[%i] : memref<?xf32>
        %w = arith.addf %v, %v : f32
        memref.store %w, %rows[%i] : memref<?xf32>
      }
      return
    }
    ```
  }];
  let dependentDialects = ["mlir::LLVM::LLVMDialect", "mlir::arith::ArithDialect",
                           "mlir::func::FuncDialect", "mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numOutlined", "outlined", "Number of parallel loops outlined">
  ];
}

def BindImports : Pass<"rshard-bind-imports", "mlir::ModuleOp"> {
  let summary = "Call the runtime through a table that the loader fills";
  let description = [{
    Host code calls functions of the runtime's ABI (ABI.h) by name. This pass
    gives each that is declared a body: a call through its entry of the table
    `rshard_imports`, which the module exports and whoever loads the code fills.
    So the shared object asks the process for no symbol, and the process need not
    export any. The table is protected: the code uses its own, whatever the
    process holds under that name.

    Other declarations stay as they are; the linked object may import `memcpy`,
    `memmove` and `memset` alone.

    ```mlir
    // imports.mlir
    llvm.func @ncclGroupStart() -> i32
    llvm.func @step() {
      %result = llvm.call @ncclGroupStart() : () -> i32
      llvm.return
    }
    ```

    becomes

    ```mlir
    // rshard-opt imports.mlir --rshard-bind-imports
    llvm.mlir.global external protected @rshard_imports() {...} : !llvm.array<7 x ptr> {
      %zero = llvm.mlir.zero : !llvm.array<7 x ptr>
      llvm.return %zero : !llvm.array<7 x ptr>
    }
    llvm.func internal @ncclGroupStart() -> i32 {
      %table = llvm.mlir.addressof @rshard_imports : !llvm.ptr
      %entry = llvm.getelementptr inbounds %table[0, 3] : (!llvm.ptr) -> !llvm.ptr, !llvm.array<7 x ptr>
      %function = llvm.load %entry : !llvm.ptr -> !llvm.ptr
      %result = llvm.call %function() : !llvm.ptr, () -> i32
      llvm.return %result : i32
    }
    llvm.func @step() {
      %started = llvm.call @ncclGroupStart() : () -> i32
      llvm.return
    }
    ```
  }];
  let dependentDialects = ["mlir::LLVM::LLVMDialect"];
  let statistics = [
    Statistic<"numBound", "bound", "Number of functions called through the table">
  ];
}

#endif // RSHARD_TARGET_HOST_PASSES

