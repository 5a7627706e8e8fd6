//===- Passes.td - passes of the CPU target ---------------*- tablegen -*-===//

#ifndef RSHARD_TARGET_CPU_PASSES
#define RSHARD_TARGET_CPU_PASSES

include "mlir/Pass/PassBase.td"

def OutlineParallel : Pass<"rshard-cpu-outline-parallel", "mlir::ModuleOp"> {
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

    Input:

    ```mlir
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

    Output, with the context's loads and stores left out:

    ```mlir
    func.func private @rshard_parallel_for(!llvm.ptr, !llvm.ptr, i64)
    func.func private @twice(%x: memref<?xf32>, %n: index) {
      %context = llvm.alloca ... : !llvm.ptr
      %function = func.constant @twice_parallel0 : (!llvm.ptr, i64, i64) -> ()
      func.call @rshard_parallel_for(%pointer, %context, %iterations) : ...
      return
    }
    func.func private @twice_parallel0(%context: !llvm.ptr, %begin: i64, %end: i64) {
      scf.for %i = %first to %last step %c1 {
        ...
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

def ApproximateMath : Pass<"rshard-cpu-approximate-math"> {
  let summary = "Replace transcendental functions by polynomials";
  let description = [{
    Replaces `math.exp`, `math.tanh`, `math.erf`, `math.log` and `math.rsqrt` on
    f32 scalars and vectors by the polynomials that MLIR offers, with errors of
    at most 5 ulp (2.7e-7 absolute for tanh and erf); `rsqrt` becomes `1 / sqrt`.
    `sin` and `cos` are left alone: their polynomials are wrong by 2.3e-4 at the
    angles of rotary embeddings, whose tables the runtime computes in double.

    ```mlir
    %y = math.exp %x : vector<16xf32>
    ```

    becomes a sequence of `arith` and `math.fma`.
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::math::MathDialect",
                           "mlir::vector::VectorDialect"];
}

#endif // RSHARD_TARGET_CPU_PASSES
