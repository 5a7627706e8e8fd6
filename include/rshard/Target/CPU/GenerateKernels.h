//===- GenerateKernels.h - from the scheduled to the kernels phase -*- C++-*-=//

#ifndef RSHARD_TARGET_CPU_GENERATEKERNELS_H
#define RSHARD_TARGET_CPU_GENERATEKERNELS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Support/LLVM.h"
#include "rshard/tokenset/Plan.h"
#include <string>

namespace rshard::cpu {

/// CPU code computes in f32: fails if rows are of another type.
mlir::LogicalResult
checkRowTypes(const tokenset::RowTypes &types,
              llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

/// A scheduled module, which is left as it is, as calls of kernels for `cpu`,
/// a name that LLVM knows or "native". Errors are diagnostics.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>>
generateKernels(mlir::ModuleOp scheduled, const std::string &cpu);

} // namespace rshard::cpu

#endif // RSHARD_TARGET_CPU_GENERATEKERNELS_H
