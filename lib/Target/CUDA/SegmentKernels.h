//===- SegmentKernels.h - the kernels of a segment's steps -------*- C++
//-*-===//

#ifndef RSHARD_LIB_TARGET_CUDA_SEGMENTKERNELS_H
#define RSHARD_LIB_TARGET_CUDA_SEGMENTKERNELS_H

#include "rshard/Target/CUDA/KernelLibrary.h"
#include "rshard/Target/Segment/SegmentEmitter.h"

namespace rshard::cuda {

/// Runs the variant for the rows of `counted`, which is known when the step
/// runs.
void emitRun(mlir::OpBuilder &ops, mlir::Location loc, mlir::Value frame,
             llvm::ArrayRef<KernelLibrary::Variant> variants,
             mlir::Value counted, mlir::ValueRange arguments);
/// Does what `emit` does with the variant for the rows of `counted`.
void emitChoice(
    mlir::OpBuilder &ops, mlir::Location loc,
    llvm::ArrayRef<KernelLibrary::Variant> variants, mlir::Value counted,
    llvm::function_ref<void(mlir::OpBuilder &, const KernelLibrary::Variant &)>
        emit);

/// Emits the steps of segments as runs of kernels.
class SegmentKernels : public SegmentEmitter {
public:
  SegmentKernels(WeightSlots &weights, KernelLibrary &kernels)
      : SegmentEmitter(weights), kernels(kernels) {}

  FusionRules fusionRules() const override;

protected:
  mlir::LogicalResult emit(const Step &step, mlir::Value y) override;
  void emitCopy(mlir::Location loc, mlir::Value x, mlir::Value y) override;

private:
  mlir::LogicalResult emitNorm(const Step &step, mlir::Value y);
  mlir::LogicalResult emitLinear(const Step &step, mlir::Value y);
  mlir::LogicalResult emitRotated(const Step &step, LinearParams params,
                                  mlir::ValueRange front,
                                  mlir::ValueRange behind);
  mlir::LogicalResult emitEmbedding(const Step &step, mlir::Value y);
  mlir::LogicalResult emitRope(const Step &step);
  /// Weights as the kernels read them: matrices and tables [N, K] of `element`,
  /// vectors f32 [N]. Several are one, one below the other or, for a gated
  /// product, in blocks of 8 rows in turn.
  mlir::FailureOr<mlir::Value> weightOf(mlir::Operation *user,
                                        mlir::ValueRange values,
                                        mlir::Type element, bool gated = false);
  mlir::FailureOr<mlir::Value> vectorOf(mlir::Operation *user,
                                        mlir::Value value) {
    return weightOf(user, value, ops.getF32Type());
  }
  mlir::LogicalResult run(mlir::Location loc, mlir::SymbolRefAttr kernel,
                          mlir::ValueRange arguments);

  KernelLibrary &kernels;
  /// Of norms that products may compute: their own step comes first.
  llvm::DenseMap<mlir::Operation *, mlir::Value> leftScales;
};

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_SEGMENTKERNELS_H
