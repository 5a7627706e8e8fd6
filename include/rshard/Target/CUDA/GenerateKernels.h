//===- GenerateKernels.h - from the scheduled to the kernels phase -*- C++
//-*-===//

#ifndef RSHARD_TARGET_CUDA_GENERATEKERNELS_H
#define RSHARD_TARGET_CUDA_GENERATEKERNELS_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Support/LLVM.h"
#include "rshard/tokenset/Plan.h"

namespace rshard::cuda {

/// Fails unless the kernels compute in the types: activations of bf16 or f16.
mlir::LogicalResult
checkRowTypes(const tokenset::RowTypes &types,
              llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// Generates the kernels of a scheduled module, which is left as it is: the
/// result holds them in a gpu.module, and a driver that runs them. Errors are
/// diagnostics.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>>
generateKernels(mlir::ModuleOp scheduled);

/// The gpu.module of such a result.
mlir::gpu::GPUModuleOp getKernels(mlir::ModuleOp module);

} // namespace rshard::cuda

#endif // RSHARD_TARGET_CUDA_GENERATEKERNELS_H
