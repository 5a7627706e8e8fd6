//===- Rope.h - rotary frequencies from a configuration ---------*- C++ -*-===//

#ifndef RSHARD_LIB_IMPORT_ROPE_H
#define RSHARD_LIB_IMPORT_ROPE_H

#include "ModelBuilder.h"

namespace rshard {

/// The angles of a rotary embedding for heads of `headSize` elements, computed
/// in double. Reads `rope_parameters`, or the older `rope_theta` and
/// `rope_scaling`. Kinds: default, linear, llama3. Other kinds are refused.
Rotary readRotary(Config &config, int64_t headSize);

} // namespace rshard

#endif // RSHARD_LIB_IMPORT_ROPE_H
