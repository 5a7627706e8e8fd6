//===- WarpMma.h - matrix products of a warp ---------------------*- C++
//-*-===//
//
// mma.sync: the 32 threads of a warp multiply small tiles that they hold in
// registers. (PTX ISA, "mma.m16n8k16", which draws the fragments.)
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_WARPMMA_H
#define RSHARD_LIB_TARGET_CUDA_WARPMMA_H

#include "DeviceBuilder.h"
#include <array>

namespace rshard::cuda {

using Accumulator = std::array<Float, 4>;

/// A B + C with A of 16x16, B of 16x8 and C of 16x8; `element` is that of A and
/// B, bf16 or f16.
Accumulator multiplyAdd(DeviceBuilder &k, mlir::Type element,
                        const std::array<Int, 4> &a,
                        const std::array<Int, 2> &b, const Accumulator &c);

/// The transpose of an 8x8 matrix of 16-bit values, of which a thread holds
/// columns 2 (lane % 4) and the next of row lane / 4.
Int transposeMatrix(DeviceBuilder &k, Int matrix);

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_WARPMMA_H
