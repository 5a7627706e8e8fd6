//===- Passes.td - passes of the CUDA target --------------*- tablegen -*-===//

#ifndef RSHARD_TARGET_CUDA_PASSES
#define RSHARD_TARGET_CUDA_PASSES

include "mlir/Pass/PassBase.td"

def ConvertToKernels : Pass<"convert-rshard-to-cuda", "mlir::ModuleOp"> {
  let summary = "Turn segments and the driver's row operations into runs of kernels for Hopper";
  let description = [{
    The counterpart of `convert-rshard-to-cpu`: every segment becomes a function on
    buffers that runs one kernel for each operation or fused group, and so do
    gathers, appends and attention in the driver. The kernels are functions of the
    `gpu.module` @kernels, each with the attribute `rshard.kernel`, which says how
    the runtime launches it.

    Rows are bf16 or f16 (scores, `lse` and logits f32). A kernel that has variants
    by the number of rows is chosen in the segment, by the rows of the step.

    Weights are packed as `rows:<type>`, as the model's files have them, in the type
    of the activations, and `vector`, f32.

    ```mlir
    // segment.mlir
    rshard.weight @scale "layers.{}.norm" layers [0, 3) : tensor<64xf32>
    rshard.buffer @comp.x rows "comp" : memref<?x64xbf16>
    rshard.buffer @pool.query rows "pool_query" : memref<?x64xbf16>
    func.func private @enter(%layer: index, %x: tensor<?x64xbf16>) -> tensor<?x64xbf16> {
      %s = rshard.parameter @scale[%layer] : tensor<64xf32>
      %y = rshard.norm rms %x, %s eps 1.0e-05 : tensor<?x64xbf16>, tensor<64xf32>
      return %y : tensor<?x64xbf16>
    }
    func.func @step(%frame: !rshard.frame) {
      %c2 = arith.constant 2 : index
      %x = rshard.get_buffer %frame[@comp.x] : memref<?x64xbf16>
      %q = rshard.get_buffer %frame[@pool.query] : memref<?x64xbf16>
      rshard.launch @enter layer %c2 of %frame ins(%x) outs(%q) : (memref<?x64xbf16>) -> memref<?x64xbf16>
      return
    }
    ```

    becomes

    ```mlir
    // rshard-opt segment.mlir --convert-rshard-to-cuda
    func.func private @enter(%layer: index, %frame: !rshard.frame, %x: ..., %y: ...) {
      ...
      %s = rshard.get_weight %frame, 0[%layer] : memref<64xf32>
      rshard.run @kernels::@norm_rms_1x64_3727c5ac_bf16 of %frame(%x, %s, %y) : ...
      return
    }
    ```
  }];
  let options = [
    Option<"linearSchedule", "linear-schedule", "std::string", "\"\"",
           "schedule of matrix products of more than 16 rows (p128, p192); default: the best one for each shape and number of rows">
  ];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::func::FuncDialect", "mlir::gpu::GPUDialect",
                           "mlir::LLVM::LLVMDialect", "mlir::memref::MemRefDialect",
                           "mlir::NVVM::NVVMDialect", "mlir::scf::SCFDialect"];
  let statistics = [
    Statistic<"numKernels", "kernels", "Number of kernels generated">,
    Statistic<"numFused", "fused", "Number of operations fused into another's kernel">,
    Statistic<"workspaceWidth", "workspace-width", "Columns of the workspace">
  ];
}

#endif // RSHARD_TARGET_CUDA_PASSES
