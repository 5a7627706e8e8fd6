//===- RandomModel.h - random small transformers ----------------*- C++ -*-===//

#ifndef RSHARD_TEST_UNIT_INTERPRETER_RANDOMMODEL_H
#define RSHARD_TEST_UNIT_INTERPRETER_RANDOMMODEL_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "rshard/tokenset/Mask.h"
#include "rshard/tokenset/Plan.h"

namespace rshard::test {

/// A module of the model phase, as text.
struct RandomModel {
  std::string text;
  int64_t vocabulary;
  /// By layer.
  std::vector<tokenset::Mask> masks;

  int64_t layers() const { return masks.size(); }
  bool isBidirectional() const;
};

/// Draws sizes (heads, key heads, head size, width, MLP), the layers' kinds and
/// their order, and what each kind is made of: mask, norm before or after,
/// biases, norm of queries and keys, rotary positions, gated or plain MLP; and
/// learned positions, final norm and head of the whole.
RandomModel drawModel();

/// The module, of the model phase.
mlir::OwningOpRef<mlir::ModuleOp> parseModel(mlir::MLIRContext &context,
                                             const RandomModel &model);
/// The module of the partitioned phase under `plan`; null after an error.
mlir::OwningOpRef<mlir::ModuleOp> partition(mlir::ModuleOp model,
                                            const tokenset::Plan &plan);
/// One for all tests: it holds the dialects and no threads.
mlir::MLIRContext &getContext();

} // namespace rshard::test

#endif // RSHARD_TEST_UNIT_INTERPRETER_RANDOMMODEL_H
