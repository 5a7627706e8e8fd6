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
