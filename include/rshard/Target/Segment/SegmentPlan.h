//===- SegmentPlan.h - steps and storage of one segment ----------*- C++
//-*-===//
//
// A segment is straight-line code on tensors. Its plan says which kernel calls
// it becomes and where every value lives. Nothing is emitted here.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TARGET_SEGMENT_SEGMENTPLAN_H
#define RSHARD_TARGET_SEGMENT_SEGMENTPLAN_H

#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <functional>
#include <optional>

namespace rshard {

/// Columns of a tensor of rows.
inline int64_t getRowWidth(mlir::Value rows) {
  return getRowWidth(llvm::cast<mlir::ShapedType>(rows.getType()));
}

/// Whether a value is the input of linears, and nothing else.
bool onlyLinearsRead(mlir::Value value);

/// Whether two parameters are of the same layer of weights of the same layers.
bool areOfSameLayers(ParameterOp a, ParameterOp b);

/// One kernel call.
struct Step {
  /// The op whose result the call computes: the last one of a fused group.
  mlir::Operation *op = nullptr;
  /// The first op of a fused group: the linear or embedding.
  mlir::Operation *root = nullptr;
  /// Further linears of the root's input, rotated or not, or rotations to the
  /// root's positions, that the call computes: each has a result of its own, or
  /// it is the up projection of a gated group.
  llvm::SmallVector<mlir::Operation *, 2> others;
  std::optional<Activation> activation;
  mlir::Value residual; ///< added to a linear or embedding
  mlir::Value constant; ///< row added to an embedding
  /// Of a linear: the norm that makes its input and that the call may compute
  /// itself, from the norm's input.
  NormOp inputNorm;
  /// Of a linear: the merge that makes its input, of which the call may read a
  /// single partial.
  MergeOp inputMerge;
  /// Of a norm or a merge: all that reads its result may do without.
  bool leftToReaders = false;
  /// Of a norm that is left to its readers and of these: for many rows, too.
  /// The step that makes the norm's input sums the squares of its rows, the
  /// norm is left with their factors, and its readers apply these.
  bool factorsGiven = false;
  /// Of the step that makes the norm's input.
  bool sumsSquares = false;
  /// Tensors of rows that the call reads.
  llvm::SmallVector<mlir::Value, 4> reads;
  /// Those whose storage a result may take over, because the kernel reads an
  /// element before it writes it there.
  struct TakeOver {
    mlir::Value from, to;
    bool operator==(const TakeOver &) const = default;
  };
  llvm::SmallVector<TakeOver, 2> inPlace;
  mlir::Value result;
  /// The results, `result` first: several if the call computes several ops.
  llvm::SmallVector<mlir::Value, 3> results() const;
};

/// Groups that only some targets have kernels for.
struct FusionRules {
  /// Linears of one input, such as queries, keys and values.
  bool joinLinears = false;
  /// Rotations to the same positions by the same angles: queries and keys.
  bool joinRopes = false;
  /// Two linears of one input and the gated product of their results, if their
  /// width is a multiple of this; 0: never.
  int64_t gatedLinears = 0;
  /// Joined linears without bias and the rotations of the first of their
  /// results, if the size of heads is a multiple of this; 0: never.
  int64_t rotatedLinears = 0;
  /// Why linears of a norm's result cannot compute it themselves; empty if they
  /// can. Null: they never do.
  std::function<llvm::StringRef(NormOp)> whyNormStays;
  /// Whether a linear's step can sum the squares of its result's rows for a
  /// norm behind it, and whether it can take its input's factors. Null: none.
  /// A target has a place for one set of squares and one of factors at a time.
  std::function<bool(const Step &)> sumsSquares, takesFactors;
  /// Whether a linear's step of one row can read a single partial in place of
  /// the merge that makes its input. Null: none.
  std::function<bool(const Step &)> readsPartial;
};

struct Storage {
  enum Kind { Input, Output, Workspace } kind = Workspace;
  /// Number of the input or output, or the first column in the workspace.
  int64_t index = 0;
};

/// Whether input i and output j of the segment are the same rows of a buffer in
/// some launch.
using MayAlias = llvm::function_ref<bool(unsigned input, unsigned output)>;

class SegmentPlan {
public:
  /// Fails with a diagnostic if the segment has several blocks or holds an op
  /// that is no step.
  static mlir::FailureOr<SegmentPlan>
  create(mlir::func::FuncOp segment, FusionRules rules, MayAlias mayAlias);

  llvm::ArrayRef<Step> getSteps() const { return steps; }
  Storage storageOf(mlir::Value value) const { return storage.at(value); }
  /// Results that must be copied to their outputs at the end.
  llvm::ArrayRef<unsigned> getCopies() const { return copies; }
  /// Columns of the workspace that the segment uses.
  int64_t getWorkspaceWidth() const { return workspaceWidth; }
  int64_t getNumFused() const { return numFused; }

private:
  SegmentPlan(mlir::func::FuncOp segment, FusionRules rules)
      : segment(segment), rules(rules) {}
  mlir::LogicalResult collectSteps();
  void joinLinears();
  void joinRopes();
  /// The steps whose linears have `value` as their input.
  llvm::SmallVector<Step *> linearsOf(mlir::Value value);
  /// `readers` read what `step` reads, beside or in place of its result.
  static void leaveTo(llvm::ArrayRef<Step *> readers, Step &step);
  void leaveNorms();
  void passFactors();
  void leaveMerges();
  void joinRotations();
  Step stepOf(mlir::Operation &op);
  void assignOutputs(MayAlias mayAlias);
  void assignWorkspace();
  bool mayWrite(unsigned output, size_t step, mlir::Value value,
                MayAlias mayAlias);

  mlir::func::FuncOp segment;
  FusionRules rules;
  llvm::SmallVector<Step> steps;
  llvm::DenseMap<mlir::Value, size_t> definition, lastUse;
  llvm::DenseMap<mlir::Value, Storage> storage;
  llvm::SmallVector<unsigned> copies;
  int64_t workspaceWidth = 0, numFused = 0;
};

} // namespace rshard

#endif // RSHARD_TARGET_SEGMENT_SEGMENTPLAN_H
