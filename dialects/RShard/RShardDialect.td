//===- RShardDialect.td - the rshard dialect ----------------*- tablegen -*-===//

#ifndef RSHARD_DIALECT_TD
#define RSHARD_DIALECT_TD

include "mlir/IR/DialectBase.td"

def RShard_Dialect : Dialect {
  let name = "rshard";
  let cppNamespace = "::rshard";
  let summary = "Transformers whose tokens are sharded over nodes";
  let description = [{
    The dialect carries one program through the phases of the compiler:

    - *model*: token-wise operations (`linear`, `norm`, `rope`, ...) and `attention` on
      `tensor<?x...>`; the first dimension counts tokens. Layers are functions that `layers` applies
      one after the other.
    - *planned*: `sharding`, `grid` and `placement` say which node holds which positions.
    - *partitioned*: one function per role; `send` and `receive` move rows along a `route`;
      attention has become `partial_attention` and `merge`.
    - *scheduled*: one driver for all ranks on buffers and tables of the session's `frame`, with the
      messages written out in the `nccl` dialect.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
                           "::mlir::scf::SCFDialect", "::mlir::memref::MemRefDialect", "::nccl::NCCLDialect"];
  let hasOperationAttrVerify = 1;
}

#endif // RSHARD_DIALECT_TD
