//===- LayerLoop.h - a loop over layers of several kinds --------*- C++ -*-===//

#ifndef RSHARD_LIB_TRANSFORMS_LAYERLOOP_H
#define RSHARD_LIB_TRANSFORMS_LAYERLOOP_H

#include "mlir/IR/Builders.h"

namespace rshard {

/// Emits the body of one kind of layer; returns the values that the next layer
/// takes.
using LayerBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(
    mlir::OpBuilder &, int32_t kind, mlir::Value layer,
    mlir::ValueRange carried)>;

/// Emits layers [first, last) one after the other; `kinds[layer]` is the kind
/// of a layer. The text holds one body per kind, however many layers there are.
/// Returns the last layer's values, `init` if there is none.
llvm::SmallVector<mlir::Value>
emitLayerLoop(mlir::OpBuilder &builder, mlir::Location loc, int64_t first,
              int64_t last, llvm::ArrayRef<int32_t> kinds,
              mlir::ValueRange init, LayerBody body);

} // namespace rshard

#endif // RSHARD_LIB_TRANSFORMS_LAYERLOOP_H
