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
      rshard.run @kernels::@norm_rms_1x64_3727c5ac_scale_bf16 of %frame(%x, %s, %y) : ...
      return
    }
    ```
  }];
  let options = [
    Option<"linearSchedule", "linear-schedule", "std::string", "\"\"",
           "schedule of pipelined matrix products (p128, p192); default: the best one for each shape and number of rows">
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

def VerifyOverlap : Pass<"rshard-verify-overlap", "mlir::ModuleOp"> {
  let summary = "Check that overlapping kernels wait before they touch what others write";
  let description = [{
    A kernel may start before the ones in front of it have ended. This checks of every kernel, an `llvm.func` with the
    attribute `rshard.kernel`, that on all paths `griddepcontrol.wait` comes before

    - everything that writes to global memory,
    - every load from there that is not marked as invariant (`ld.global.nc` in inline PTX),

    and that some thread executes it. It waits for the end of the kernel in front alone: that all earlier ones have ended
    follows, by induction, from no kernel's ending before its wait does. A wait in a loop that may run 0 times, or in a
    branch without another, is none that a thread is known to execute; of two branches each is taken by some thread, as
    they are the parts that warps play.

    Copies of the tensor memory accelerator into shared memory count as loads: those in front of the wait as invariant
    ones, as nothing else tells them apart.

    What a kernel reads that way, no kernel may write, and that depends on what it is given: every `rshard.run` of the
    module must pass a weight, a table of the frame, or a buffer of rows `positions` (angles), which the runtime writes
    before a step. What a kernel writes (stores, atomics, copies out of shared memory, inline PTX other than
    `ld.global.nc`) must be another buffer of the frame. An address that cannot be followed back to its argument is an error, like an argument that cannot be
    followed to what it is a view of.

    ```mlir
    // kernel.mlir
    gpu.module @kernels {
      llvm.func @copy(%x: !llvm.ptr<1>, %y: !llvm.ptr<1>)
          attributes {rshard.kernel = #rshard.kernel<threads = 32, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>, #rshard.pointer<1>]>} {
        %0 = llvm.load %x invariant : !llvm.ptr<1> -> i32
        llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
        llvm.store %0, %y : i32, !llvm.ptr<1>
        llvm.return
      }
    }
    ```

    is in order, where every run of it passes a weight for `x`. Nothing changes:

    ```mlir
    // rshard-opt kernel.mlir --rshard-verify-overlap
    %0 = llvm.load %x invariant : !llvm.ptr<1> -> i32
    llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}" : () -> ()
    llvm.store %0, %y : i32, !llvm.ptr<1>
    ```
  }];
}

#endif // RSHARD_TARGET_CUDA_PASSES
