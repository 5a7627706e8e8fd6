//===- Passes.h - conversions to upstream dialects --------------*- C++ -*-===//

#ifndef RSHARD_CONVERSION_PASSES_H
#define RSHARD_CONVERSION_PASSES_H

#include "mlir/Pass/Pass.h"

namespace rshard {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "rshard/Conversion/Passes.h.inc"

} // namespace rshard

#endif // RSHARD_CONVERSION_PASSES_H
