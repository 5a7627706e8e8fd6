//===- Passes.h - passes of the CUDA target ----------------------*- C++
//-*-===//

#ifndef RSHARD_TARGET_CUDA_PASSES_H
#define RSHARD_TARGET_CUDA_PASSES_H

#include "mlir/Pass/Pass.h"
#include <memory>

namespace rshard::cuda {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "rshard/Target/CUDA/Passes.h.inc"

} // namespace rshard::cuda

#endif // RSHARD_TARGET_CUDA_PASSES_H
