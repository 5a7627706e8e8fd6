//===- NCCLOps.td - NCCL's point-to-point operations --------*- tablegen -*-===//

#ifndef NCCL_OPS_TD
#define NCCL_OPS_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def NCCL_Dialect : Dialect {
  let name = "nccl";
  let cppNamespace = "::nccl";
  let summary = "NCCL's operations with NCCL's semantics";
  let description = [{
    Operations are ordered by the stream that they are issued on. Every transport implements these
    semantics, so that there is one IR for all of them (NCCL 2.28 user guide, "Point-to-point communication").
  }];
  let useDefaultTypePrinterParser = 1;
}

class NCCL_Type<string name, string typeMnemonic> : TypeDef<NCCL_Dialect, name> { let mnemonic = typeMnemonic; }

def NCCL_CommType : NCCL_Type<"Comm", "comm"> {
  let summary = "a communicator";
  let description = [{ The ranks that talk to one another; `ncclComm_t`. }];
}

def NCCL_StreamType : NCCL_Type<"Stream", "stream"> {
  let summary = "a stream";
  let description = [{ The order in which operations of one device run; `cudaStream_t`. }];
}

/// Other ranks: what is sent is seen by somebody, though no op of this program reads it.
def NCCL_Network : Resource<"::nccl::NetworkResource">;

class NCCL_Op<string mnemonic, list<Trait> traits = []> : Op<NCCL_Dialect, mnemonic, traits>;

def NCCL_GroupOp : NCCL_Op<"group", [SingleBlock, NoTerminator]> {
  let summary = "operations that are started together";
  let description = [{
    The sends and receives in the region start when the region ends and may complete in any order; none waits
    for another of the group. Becomes ncclGroupStart, the region, ncclGroupEnd.

    Constraints: groups do not nest.

    ```mlir
    nccl.group {
      nccl.send %a to %peer on %comm, %stream : memref<?x64xf32>
      nccl.recv %b from %peer on %comm, %stream : memref<?x64xf32>
    }
    ```
  }];
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$body attr-dict";
  let hasVerifier = 1;
}

def NCCL_Buffer : MemRefOf<[F64, F32, F16, BF16, I64, I32, I8]>;

def NCCL_SendOp : NCCL_Op<"send", [MemoryEffects<[MemWrite<NCCL_Network>]>]> {
  let summary = "send a buffer to a rank";
  let description = [{
    The receiver posts one `nccl.recv` of the same number of elements and the same type (C6).

    Constraints: the buffer is contiguous, its first dimension alone may be dynamic; the operation is inside an `nccl.group`.

    ```mlir
    nccl.send %rows to %peer on %comm, %stream : memref<?x64xf32>
    ```
  }];
  let arguments = (ins Arg<NCCL_Buffer, "", [MemRead]>:$buffer, Index:$peer, NCCL_CommType:$comm, NCCL_StreamType:$stream);
  let assemblyFormat = "$buffer `to` $peer `on` $comm `,` $stream attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}

def NCCL_RecvOp : NCCL_Op<"recv", [MemoryEffects<[MemRead<NCCL_Network>, MemWrite<NCCL_Network>]>]> {
  let summary = "receive a buffer from a rank";
  let description = [{
    The sender posts one `nccl.send` of the same number of elements and the same type (C6).

    Constraints: the buffer is contiguous, its first dimension alone may be dynamic; the operation is inside an `nccl.group`.

    ```mlir
    nccl.recv %rows from %peer on %comm, %stream : memref<?x64xf32>
    ```
  }];
  let arguments = (ins Arg<NCCL_Buffer, "", [MemWrite]>:$buffer, Index:$peer, NCCL_CommType:$comm, NCCL_StreamType:$stream);
  let assemblyFormat = "$buffer `from` $peer `on` $comm `,` $stream attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}

#endif // NCCL_OPS_TD
