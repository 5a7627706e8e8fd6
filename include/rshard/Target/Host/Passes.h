//===- Passes.h - passes of host code ----------------------------*- C++-*-===//

#ifndef RSHARD_TARGET_HOST_PASSES_H
#define RSHARD_TARGET_HOST_PASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace rshard {

#define GEN_PASS_DECL
#include "rshard/Target/Host/Passes.h.inc"

/// Appends the passes that bring host code (scf, vector, memref, arith, math,
/// func, cf) to the LLVM dialect.
void buildHostLoweringPipeline(mlir::OpPassManager &passes);

/// Registers the passes above and the pipeline `rshard-host-lower`.
void registerHostPasses();

} // namespace rshard

#endif // RSHARD_TARGET_HOST_PASSES_H
