//===- Passes.h - passes of the CPU target ------------------------*- C++
//-*-===//

#ifndef RSHARD_TARGET_CPU_PASSES_H
#define RSHARD_TARGET_CPU_PASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include <memory>

namespace rshard::cpu {

#define GEN_PASS_DECL
#include "rshard/Target/CPU/Passes.h.inc"

/// Appends the passes that bring kernels and the functions that call them
/// (scf, vector, memref, arith, math, func, cf) to the LLVM dialect.
void buildLoweringPipeline(mlir::OpPassManager &passes);

/// Registers the passes above and the pipeline `rshard-cpu-lower`.
void registerCPUPasses();

} // namespace rshard::cpu

#endif // RSHARD_TARGET_CPU_PASSES_H
