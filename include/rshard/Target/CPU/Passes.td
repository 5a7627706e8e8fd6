//===- Passes.td - passes of the CPU target ---------------*- tablegen -*-===//

#ifndef RSHARD_TARGET_CPU_PASSES
#define RSHARD_TARGET_CPU_PASSES

include "mlir/Pass/PassBase.td"

def ConvertToKernels : Pass<"convert-rshard-to-cpu", "mlir::ModuleOp"> {
  let summary = "Turn segments and the driver's row operations into calls of CPU kernels";
  let description = [{
    Every segment, a function on tensors, becomes a function on memrefs (inputs,
    then outputs) that calls one kernel for each operation or fused group of
    operations: linear + activation + residual, and embedding + constant row.
    Values live in the outputs where that is safe, else in a workspace; slots of
    dead values are reused, and elementwise operations work in place. The
    workspace is a buffer of the frame with as many columns as the largest
    segment needs: a slot is [rows, width] and begins at (its first column) x
    (rows of the workspace).

    Views of one buffer in one `rshard.launch` are taken for the same rows: an
    output may be an input (`comp.x` is updated in place).

    Weights are numbered in the order of their first use. The module's attribute
    `rshard.weight_slots` lists ranges of slots with their packing:
    `panel:<columns>:<type>` is [ceil(N / columns)][K][columns] with zeros at the
    end, `vector` f32, `rows:<type>` [rows, columns]. f16 is widened to f32. A
    weight that is used in two forms has two ranges.

    ```mlir
    // segment.mlir
    rshard.weight @w "layers.{}.w" layers [0, 3) : tensor<32x64xf32>
    rshard.buffer @comp.x rows "comp" : memref<?x64xf32>
    rshard.buffer @pool.key rows "pool_key" : memref<?x32xf32>
    func.func private @enter(%layer: index, %x: tensor<?x64xf32>) -> tensor<?x32xf32> {
      %w = rshard.parameter @w[%layer] : tensor<32x64xf32>
      %y = rshard.linear %x, %w : (tensor<?x64xf32>, tensor<32x64xf32>) -> tensor<?x32xf32>
      return %y : tensor<?x32xf32>
    }
    func.func @step(%frame: !rshard.frame) {
      %c2 = arith.constant 2 : index
      %x = rshard.get_buffer %frame[@comp.x] : memref<?x64xf32>
      %k = rshard.get_buffer %frame[@pool.key] : memref<?x32xf32>
      rshard.launch @enter layer %c2 of %frame ins(%x) outs(%k) : (memref<?x64xf32>) -> memref<?x32xf32>
      return
    }
    ```

    becomes

    ```mlir
    // rshard-opt segment.mlir --convert-rshard-to-cpu=cpu=x86-64-v3
    func.func private @enter(%layer: index, %frame: !rshard.frame, %x: ..., %y: ...) {
      ...
      %w = rshard.get_weight %frame, 0[%layer] : memref<2x64x16xf32>
      call @cpu.linear_64x32_f32_none(%x, %w, %y) : ...
      return
    }
    ```
  }];
  let options = [
    Option<"cpu", "cpu", "std::string", "\"native\"",
           "the CPU to generate code for: a name that LLVM knows, or native">
  ];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::func::FuncDialect",
                           "mlir::math::MathDialect", "mlir::memref::MemRefDialect",
                           "mlir::scf::SCFDialect", "mlir::vector::VectorDialect"];
  let statistics = [
    Statistic<"numKernels", "kernels", "Number of kernels generated">,
    Statistic<"numFused", "fused", "Number of operations fused into another's kernel">,
    Statistic<"workspaceWidth", "workspace-width", "Columns of the workspace">
  ];
}

def ConvertFrame : Pass<"convert-rshard-frame-to-llvm", "mlir::ModuleOp"> {
  let summary = "Read the frame's buffers, tables and weights from the runtime's structures";
  let description = [{
    `!rshard.frame` becomes a pointer to the `rshard_frame` of the runtime's ABI;
    reads of buffers, tables and weights become loads that build memref
    descriptors, `rshard.exchange` a call of `rshard_exchange`, and
    `rshard.layer_kind` a look-up in a constant table. The driver `@step` becomes
    the exported `@rshard_step`; all other functions are private. Declarations of
    the rshard dialect are erased.

    ```mlir
    // exchange.mlir
    func.func @step(%frame: !rshard.frame) {
      %c2 = arith.constant 2 : index
      rshard.exchange %frame, 0 layer %c2
      return
    }
    ```

    becomes

    ```mlir
    // rshard-opt exchange.mlir --convert-rshard-frame-to-llvm
    func.func @rshard_step(%frame: !llvm.ptr) {
      %c2 = arith.constant 2 : index
      %exchange = arith.constant 0 : i32
      %layer = arith.index_cast %c2 : index to i32
      call @rshard_exchange(%frame, %exchange, %layer) : (!llvm.ptr, i32, i32) -> ()
      return
    }
    ```
  }];
  let dependentDialects = ["mlir::LLVM::LLVMDialect", "mlir::arith::ArithDialect",
                           "mlir::func::FuncDialect"];
}

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
    // rshard-opt loop.mlir --rshard-cpu-outline-parallel
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

def ApproximateMath : Pass<"rshard-cpu-approximate-math"> {
  let summary = "Replace transcendental functions by polynomials";
  let description = [{
    Replaces `math.exp`, `math.tanh`, `math.erf`, `math.log` and `math.rsqrt` on
    f32 scalars and vectors by the polynomials that MLIR offers, with errors of
    at most 5 ulp (2.7e-7 absolute for tanh and erf); `rsqrt` becomes `1 / sqrt`.
    `sin` and `cos` are left alone: their polynomials are wrong by 2.3e-4 at the
    angles of rotary embeddings, whose tables the runtime computes in double.

    `math.exp` of a `vector<16xf32>`, say, becomes a sequence of `arith` and
    `math.fma`.
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::math::MathDialect",
                           "mlir::vector::VectorDialect"];
}

#endif // RSHARD_TARGET_CPU_PASSES
