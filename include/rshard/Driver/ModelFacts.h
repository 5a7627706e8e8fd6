//===- ModelFacts.h - what plans need to know of a model --------*- C++ -*-===//

#ifndef RSHARD_DRIVER_MODELFACTS_H
#define RSHARD_DRIVER_MODELFACTS_H

#include "mlir/IR/BuiltinOps.h"
#include "rshard/tokenset/Mask.h"
#include "rshard/tokenset/Prediction.h"
#include <vector>

namespace rshard {

struct ModelFacts {
  /// The mask of every layer.
  std::vector<tokenset::Mask> layerMasks;
  /// The longest sequence, 0 if the module does not say.
  int64_t positions = 0;
  /// Of what the layers send.
  tokenset::RowWidths widths;
};

/// Reads a module of the model or planned phase; emits an error if it holds no
/// layers.
mlir::FailureOr<ModelFacts> readModelFacts(mlir::ModuleOp module);

/// Whether a module of the model or planned phase makes more of the last rows
/// than the f32 that the caller reads; emits an error if it holds no layers.
mlir::FailureOr<bool> hasHead(mlir::ModuleOp module);

/// Whether a module of the model or planned phase takes rows of queries, keys
/// and values in place of token ids; emits an error if it holds no layers.
mlir::FailureOr<bool> isAttentionOnly(mlir::ModuleOp module);

} // namespace rshard

#endif // RSHARD_DRIVER_MODELFACTS_H
