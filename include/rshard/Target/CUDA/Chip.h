//===- Chip.h - the architecture that kernels are for ------------*- C++
//-*-===//

#ifndef RSHARD_TARGET_CUDA_CHIP_H
#define RSHARD_TARGET_CUDA_CHIP_H

#include "llvm/ADT/StringRef.h"

namespace rshard::cuda {

/// The only architecture that the kernels are written for.
constexpr llvm::StringLiteral chip = "sm_90a";

} // namespace rshard::cuda

#endif // RSHARD_TARGET_CUDA_CHIP_H
