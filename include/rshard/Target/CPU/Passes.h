//===- Passes.h - passes of the CPU target -----------------------*- C++-*-===//

#ifndef RSHARD_TARGET_CPU_PASSES_H
#define RSHARD_TARGET_CPU_PASSES_H

#include "mlir/Pass/Pass.h"

namespace rshard::cpu {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "rshard/Target/CPU/Passes.h.inc"

} // namespace rshard::cpu

#endif // RSHARD_TARGET_CPU_PASSES_H
