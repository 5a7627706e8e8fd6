//===- SegmentKernels.h - the kernels of a segment's steps -------*- C++
//-*-===//

#ifndef RSHARD_LIB_TARGET_CUDA_SEGMENTKERNELS_H
#define RSHARD_LIB_TARGET_CUDA_SEGMENTKERNELS_H

#include "NormScales.h"
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
  SegmentKernels(WeightSlots &weights, KernelLibrary &kernels,
                 mlir::ModuleOp module);

  FusionRules fusionRules() const override;
  /// Whether products pass factors on: then the frame has the buffers of
  /// squares, of the widest norm's rows, and of factors.
  bool needsFactors() const { return usesFactors; }
  mlir::MemRefType squaresType() const;
  mlir::MemRefType factorsType() const;

protected:
  mlir::LogicalResult emit(const Step &step, mlir::Value y) override;
  void emitCopy(mlir::Location loc, mlir::Value x, mlir::Value y) override;

private:
  mlir::LogicalResult emitNorm(const Step &step, mlir::Value y);
  mlir::Value squares(mlir::Location loc, mlir::OpBuilder &at);
  mlir::Value factors(mlir::Location loc, mlir::OpBuilder &at);
  mlir::LogicalResult emitMerge(const Step &step, mlir::Value y);
  mlir::LogicalResult emitLinear(const Step &step, mlir::Value y);
  mlir::LogicalResult emitRotated(const Step &step, const LinearParams &params,
                                  mlir::ValueRange front,
                                  mlir::ValueRange behind);
  mlir::LogicalResult emitEmbedding(const Step &step, mlir::Value y);
  mlir::LogicalResult emitRope(const Step &step);
  /// Weights as the kernels read them: matrices and tables [N, K] of `element`,
  /// vectors f32 [N]. Several are one, one below the other or, for a gated
  /// product, in blocks of 8 rows in turn.
  /// With `scale`, the columns are multiplied by that vector.
  mlir::FailureOr<mlir::Value> weightOf(mlir::Operation *user,
                                        mlir::ValueRange values,
                                        mlir::Type element, bool gated = false,
                                        mlir::Value scale = {});
  mlir::FailureOr<mlir::Value> vectorOf(mlir::Operation *user,
                                        mlir::Value value) {
    return weightOf(user, value, ops.getF32Type());
  }
  mlir::LogicalResult run(mlir::Location loc, mlir::SymbolRefAttr kernel,
                          mlir::ValueRange arguments);

  /// Whether there is more to be merged than one partial of one row, which is
  /// known when the step runs.
  mlir::Value needsMerge(MergeOp merge);

  KernelLibrary &kernels;
  NormScales scales;
  int64_t widest = 0; ///< elements that a norm is over
  bool usesFactors = false;
};

/// The frame's buffers for the sums of squares that products leave, and for
/// what norms make of them.
constexpr llvm::StringLiteral squaresName = "norm.squares";
constexpr llvm::StringLiteral factorsName = "norm.factors";

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_SEGMENTKERNELS_H
