//===- ModelInput.h - what a model's step takes -----------------*- C++ -*-===//
//
// A step takes token ids or, attention-only, rows of queries, keys and values
// (docs/attention-entry.md). Every phase says it in another way.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_PLAN_MODELINPUT_H
#define RSHARD_PLAN_MODELINPUT_H

#include "RShard/RShard.h"
#include "mlir/IR/BuiltinOps.h"

namespace rshard {

/// The table of the step's token ids in the scheduled phase.
constexpr llvm::StringLiteral tokenTableName = "client.token";

/// Whether a module of the model or planned phase is attention-only: the
/// function of its layers is called with rows of the layers' type.
bool isAttentionOnly(LayersOp layers);

/// Whether one of the scheduled phase takes token ids: it has a table of them.
bool takesTokens(mlir::ModuleOp scheduled);

} // namespace rshard

#endif // RSHARD_PLAN_MODELINPUT_H
