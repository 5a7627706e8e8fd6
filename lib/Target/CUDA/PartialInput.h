//===- PartialInput.h - the input where attention has left it ----*- C++
//-*-===//
//
// The one row of x of a product is the single partial of a merge: it is read
// where it lies, and rounded on the way.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_PARTIALINPUT_H
#define RSHARD_LIB_TARGET_CUDA_PARTIALINPUT_H

#include "LinearOperands.h"

namespace rshard::cuda {

/// Where column `column` of the partial is. Reads the list alone, which no
/// kernel writes.
Global findPartial(DeviceBuilder &k, const LinearParams &params,
                   const LinearOperands &operands, Int column);

/// Eight values of it from `from` on, as x has them, in four registers.
Values loadEightOfPartial(DeviceBuilder &k, const LinearParams &params,
                          Global from);

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_PARTIALINPUT_H
