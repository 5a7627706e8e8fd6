//===- Passes.h - the passes from model to schedule -------------*- C++ -*-===//

#ifndef RSHARD_TRANSFORMS_PASSES_H
#define RSHARD_TRANSFORMS_PASSES_H

#include "mlir/Pass/Pass.h"

namespace rshard {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "rshard/Transforms/Passes.h.inc"

} // namespace rshard

#endif // RSHARD_TRANSFORMS_PASSES_H
