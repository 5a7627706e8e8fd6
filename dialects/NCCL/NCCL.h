//===- NCCL.h - the nccl dialect --------------------------------*- C++ -*-===//

#ifndef RSHARD_NCCL_NCCL_H
#define RSHARD_NCCL_NCCL_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace nccl {
/// What passes between ranks.
struct NetworkResource
    : public mlir::SideEffects::Resource::Base<NetworkResource> {
  llvm::StringRef getName() final { return "nccl.network"; }
};
} // namespace nccl

#include "NCCL/NCCLDialect.h.inc"
#define GET_TYPEDEF_CLASSES
#include "NCCL/NCCLTypes.h.inc"
#define GET_OP_CLASSES
#include "NCCL/NCCLOps.h.inc"

#endif // RSHARD_NCCL_NCCL_H
