//===- SegmentKernels.h - the CPU kernels of a segment's steps ---*- C++
//-*-===//

#ifndef RSHARD_LIB_TARGET_CPU_SEGMENTKERNELS_H
#define RSHARD_LIB_TARGET_CPU_SEGMENTKERNELS_H

#include "rshard/Target/CPU/KernelLibrary.h"
#include "rshard/Target/Segment/SegmentEmitter.h"

namespace rshard::cpu {

/// Emits the steps of segments as calls of kernels.
class SegmentKernels : public SegmentEmitter {
public:
  SegmentKernels(WeightSlots &weights, KernelLibrary &kernels,
                 const TargetShape &shape)
      : SegmentEmitter(weights), kernels(kernels), shape(shape) {}

protected:
  mlir::LogicalResult emit(const Step &step, mlir::Value y) override;
  void emitCopy(mlir::Location loc, mlir::Value x, mlir::Value y) override;

private:
  mlir::LogicalResult emitNorm(NormOp op, mlir::Value y);
  mlir::LogicalResult emitLinear(const Step &step, mlir::Value y);
  mlir::LogicalResult emitEmbedding(const Step &step, mlir::Value y);
  mlir::LogicalResult emitRope(RopeOp op, mlir::Value y);
  /// Weights as the kernels read them: [panels, K, columns] of a matrix, f32
  /// [N] of a vector, [rows, columns] of a table.
  mlir::FailureOr<mlir::Value> panelsOf(mlir::Operation *user,
                                        mlir::Value value);
  mlir::FailureOr<mlir::Value> vectorOf(mlir::Operation *user,
                                        mlir::Value value);
  mlir::FailureOr<mlir::Value> tableOf(mlir::Operation *user,
                                       mlir::Value value);
  mlir::LogicalResult call(mlir::Location loc, mlir::func::FuncOp kernel,
                           mlir::ValueRange arguments);

  KernelLibrary &kernels;
  TargetShape shape;
};

} // namespace rshard::cpu

#endif // RSHARD_LIB_TARGET_CPU_SEGMENTKERNELS_H
