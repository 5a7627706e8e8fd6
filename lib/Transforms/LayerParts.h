//===- LayerParts.h - a layer cut at its token-mixing op --------*- C++ -*-===//

#ifndef RSHARD_LIB_TRANSFORMS_LAYERPARTS_H
#define RSHARD_LIB_TRANSFORMS_LAYERPARTS_H

#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace rshard {

/// Checks that every op of a function has a rule for its tokens and that at
/// most the ops of `allowMixing` mix them; emits an error that names the op.
mlir::LogicalResult checkTokenRules(mlir::func::FuncOp func, bool allowMixing);

/// The ops of `func` that `values` depend on, in program order. Ops in `stops`
/// and what is behind them do not count.
llvm::SmallVector<mlir::Operation *>
collectProducers(mlir::func::FuncOp func, mlir::ValueRange values,
                 llvm::ArrayRef<mlir::Operation *> stops);

/// A layer function (layer, rows, positions) -> rows, cut at its attention.
/// Token-wise ops that both sides need are computed on both sides: only the
/// layer's rows live across the cut.
class LayerParts {
public:
  static mlir::FailureOr<LayerParts> create(mlir::func::FuncOp layer);

  mlir::func::FuncOp getLayer() const { return layer; }
  AttentionOp getAttention() const { return attention; }
  /// The number of ops that are computed on both sides.
  int64_t getNumRecomputed() const;

  /// Copies the part before the attention; returns query, key and value.
  llvm::SmallVector<mlir::Value> emitEnter(mlir::OpBuilder &builder,
                                           mlir::Value layerIndex,
                                           mlir::Value rows,
                                           mlir::Value positions) const;
  /// Copies the part behind the attention, whose result is `attended`; returns
  /// the layer's result.
  mlir::Value emitLeave(mlir::OpBuilder &builder, mlir::Value layerIndex,
                        mlir::Value rows, mlir::Value positions,
                        mlir::Value attended) const;

private:
  LayerParts(mlir::func::FuncOp layer, AttentionOp attention)
      : layer(layer), attention(attention) {}

  mlir::func::FuncOp layer;
  AttentionOp attention;
  llvm::SmallVector<mlir::Operation *> enter, leave;
};

} // namespace rshard

#endif // RSHARD_LIB_TRANSFORMS_LAYERPARTS_H
