//===- Activate.h - activation functions of one thread -----------*- C++
//-*-===//

#ifndef RSHARD_LIB_TARGET_CUDA_ACTIVATE_H
#define RSHARD_LIB_TARGET_CUDA_ACTIVATE_H

#include "DeviceBuilder.h"
#include "RShard/RShard.h"
#include <optional>

namespace rshard::cuda {

/// The activation of x in f32, within 1e-6 of max(|x|, 1): finite wherever the
/// function is, for every finite x.
Float activate(DeviceBuilder &k, Activation kind, Float x);

/// The activation of `value`, if there is one, times `up`, if there is one.
Float activateGated(DeviceBuilder &k, std::optional<Activation> kind,
                    Float value, std::optional<Float> up = std::nullopt);

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_ACTIVATE_H
