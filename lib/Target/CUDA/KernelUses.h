//===- KernelUses.h - what a kernel does at its parameters ------*- C++ -*-===//

#ifndef RSHARD_LIB_TARGET_CUDA_KERNELUSES_H
#define RSHARD_LIB_TARGET_CUDA_KERNELUSES_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include <set>

namespace rshard::cuda {

/// The parameters of a kernel that are addresses, by what it does there.
struct ParameterUses {
  std::set<unsigned> constants; ///< reads what no kernel may write
  std::set<unsigned> written;
};

/// Checks what --rshard-verify-overlap asks of a kernel by itself. Errors, at
/// the operation: global memory is touched in front of griddepcontrol.wait, no
/// thread is known to wait, an address does not come from a parameter, or the
/// body has branches that are not those of scf.
mlir::FailureOr<ParameterUses> findKernelUses(mlir::LLVM::LLVMFuncOp kernel);

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_KERNELUSES_H
