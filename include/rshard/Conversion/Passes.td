//===- Passes.td - conversions to upstream dialects ---------*- tablegen -*-===//

#ifndef RSHARD_CONVERSION_PASSES_TD
#define RSHARD_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertFrameToLLVM : Pass<"convert-rshard-frame-to-llvm", "::mlir::ModuleOp"> {
  let summary = "reads of the frame's buffers, tables and weights from the runtime's structures";
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
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect",
                           "::mlir::func::FuncDialect"];
}

def ConvertNCCLToLLVM : Pass<"convert-nccl-to-llvm", "::mlir::ModuleOp"> {
  let summary = "messages become calls of NCCL's C functions";
  let description = [{
    Every `nccl.send` and `nccl.recv` becomes a call of ncclSend or ncclRecv with NCCL's own signature (count in
    elements, datatype as ncclDataType_t, peer as int); a group becomes the calls of ncclGroupStart and ncclGroupEnd around
    what it held. `!nccl.comm` and `!nccl.stream` are pointers, in the signatures and calls of functions too. Any
    library with these four symbols serves: NCCL or one of the runtime's transports.

    Groups disappear, so that control flow inside them can be lowered: run it before scf is lowered to branches. The
    results of the calls are not looked at: a failed communicator fails every later call, and the runtime asks it after
    the step.

    ```mlir
    // group.mlir
    func.func @exchange(%rows: memref<?x64xf32>, %peer: index, %comm: !nccl.comm, %stream: !nccl.stream) {
      nccl.group {
        nccl.send %rows to %peer on %comm, %stream : memref<?x64xf32>
      }
      return
    }
    ```

    becomes

    ```mlir
    // rshard-opt group.mlir --convert-nccl-to-llvm
    func.func @exchange(%rows: memref<?x64xf32>, %peer: index, %comm: !llvm.ptr, %stream: !llvm.ptr) {
      ...
      %started = llvm.call @ncclGroupStart() : () -> i32
      ...
      %sent = llvm.call @ncclSend(%data, %count, %float32, %rank, %comm, %stream) : (!llvm.ptr, i64, i32, i32, !llvm.ptr, !llvm.ptr) -> i32
      %ended = llvm.call @ncclGroupEnd() : () -> i32
      return
    }
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
  let statistics = [
    Statistic<"numGroups", "groups", "Number of groups converted">,
    Statistic<"numMessages", "messages", "Number of sends and receives converted">
  ];
}

#endif // RSHARD_CONVERSION_PASSES_TD
