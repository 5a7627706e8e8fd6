//===- SegmentEmitter.h - kernel calls of a planned segment ------*- C++
//-*-===//

#ifndef RSHARD_LIB_TARGET_CPU_SEGMENTEMITTER_H
#define RSHARD_LIB_TARGET_CPU_SEGMENTEMITTER_H

#include "SegmentPlan.h"
#include "WeightRegistry.h"

namespace rshard::cpu {

/// The frame's buffer for values that live in no output.
constexpr llvm::StringLiteral workspaceName = "workspace";

/// Any view of rows or of a table in the form that kernels take.
mlir::Value asKernelView(mlir::OpBuilder &ops, mlir::Location loc,
                         mlir::Value memory);

/// Writes the function (layer, frame, inputs..., outputs...) of the segment's
/// name in front of it; the caller erases the segment.
mlir::LogicalResult emitSegment(mlir::func::FuncOp segment,
                                const SegmentPlan &plan, KernelLibrary &kernels,
                                WeightRegistry &weights,
                                mlir::MemRefType workspaceType);

} // namespace rshard::cpu

#endif // RSHARD_LIB_TARGET_CPU_SEGMENTEMITTER_H
