//===- SegmentEmitter.h - a planned segment on buffers -----------*- C++
//-*-===//
//
// What all targets do to a segment: its tensors become views of buffers, of the
// workspace or of other views, and its steps are emitted one after the other. A
// target says what a step becomes.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TARGET_SEGMENT_SEGMENTEMITTER_H
#define RSHARD_TARGET_SEGMENT_SEGMENTEMITTER_H

#include "mlir/IR/IRMapping.h"
#include "rshard/Target/Segment/SegmentPlan.h"
#include "rshard/Target/Segment/WeightSlots.h"

namespace rshard {

/// The frame's buffer for values that live in no output.
constexpr llvm::StringLiteral workspaceName = "workspace";

/// Rows or a table in the form that kernels take: consecutive rows anywhere in
/// a buffer.
mlir::MemRefType kernelViewType(mlir::ShapedType rows);
/// Any view of rows or of a table in that form.
mlir::Value asKernelView(mlir::OpBuilder &ops, mlir::Location loc,
                         mlir::Value memory);

class SegmentEmitter {
public:
  explicit SegmentEmitter(WeightSlots &weights) : weights(weights) {}
  virtual ~SegmentEmitter() = default;

  /// Writes the function (layer, frame, inputs..., outputs...) of the segment's
  /// name in front of it; the caller erases the segment.
  mlir::LogicalResult run(mlir::func::FuncOp segment, const SegmentPlan &plan,
                          mlir::MemRefType workspaceType);

  /// The groups that the target has kernels for.
  virtual FusionRules fusionRules() const { return {}; }

protected:
  /// Emits one step at `ops`; `y` is the view of its first result.
  virtual mlir::LogicalResult emit(const Step &step, mlir::Value y) = 0;
  /// Emits y = x for rows.
  virtual void emitCopy(mlir::Location loc, mlir::Value x, mlir::Value y) = 0;

  /// The view of a value, wherever it lives.
  mlir::Value at(mlir::Value value);
  bool sameStorage(mlir::Value a, mlir::Value b) const;
  /// A weight that `user` takes, packed for the target.
  mlir::FailureOr<ParameterOp> parameterOf(mlir::Operation *user,
                                           mlir::Value value);
  mlir::Value getWeight(llvm::ArrayRef<ParameterOp> parameters,
                        llvm::StringRef pack, mlir::MemRefType type,
                        ParameterOp scale = {});
  /// Its angles, a buffer of the frame.
  mlir::FailureOr<mlir::Value> getRotary(RopeOp op);
  static int64_t widthOf(mlir::Value rows) { return getRowWidth(rows); }

  WeightSlots &weights;
  mlir::OpBuilder ops{static_cast<mlir::MLIRContext *>(nullptr)};
  mlir::Value frame;

private:
  mlir::Value at(Storage storage, mlir::ShapedType type);

  mlir::func::FuncOp source;
  const SegmentPlan *plan = nullptr;
  mlir::IRMapping scalars;
  mlir::Value rows, workspace, workspaceRows;
  mlir::ValueRange inputs, outputs;
  /// Views of the workspace by (first column, width).
  llvm::DenseMap<std::pair<int64_t, int64_t>, mlir::Value> slots;
};

} // namespace rshard

#endif // RSHARD_TARGET_SEGMENT_SEGMENTEMITTER_H
