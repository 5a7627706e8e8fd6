//===- RowOps.h - what a driver does to rows itself --------------*- C++
//-*-===//
//
// Beside launches of segments, a driver gathers and appends rows and runs
// attention. Targets replace these ops by kernels of their own.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TARGET_SEGMENT_ROWOPS_H
#define RSHARD_TARGET_SEGMENT_ROWOPS_H

#include "mlir/IR/BuiltinOps.h"

namespace rshard {

/// The frame's buffer or table that a view is part of: two of them share no
/// rows. Null if that is not known.
mlir::StringAttr storageOf(mlir::Value memory);

/// The gathers, appends and attention of the module's drivers, in their order.
llvm::SmallVector<mlir::Operation *> collectRowOps(mlir::ModuleOp module);

/// Fails with an error unless `rows`, an operand of `op`, has one of the
/// element types that the target has kernels for.
llvm::LogicalResult checkRowElement(mlir::Operation *op, mlir::Value rows,
                                    mlir::TypeRange elements);

} // namespace rshard

#endif // RSHARD_TARGET_SEGMENT_ROWOPS_H
