//===- ComputeCapability.h - numbers of compute capability 9.0 ----*- C++
//-*-===//
//
// CUDA programming guide, technical specifications per compute capability.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_COMPUTECAPABILITY_H
#define RSHARD_LIB_TARGET_CUDA_COMPUTECAPABILITY_H

#include "rshard/Target/CUDA/LinearSchedule.h"
#include <cstdint>

namespace rshard::cuda {

/// Of an H100 or H200.
constexpr int64_t multiprocessors = DeviceShape().multiprocessors;
constexpr int64_t maxThreads = 1024;  ///< of a block
constexpr int64_t warpThreads = 32;   ///< a block is whole warps
constexpr int64_t maxShared = 232448; ///< bytes of shared memory of a block
constexpr int64_t maxCluster = 8;     ///< blocks; more are not portable

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_COMPUTECAPABILITY_H
