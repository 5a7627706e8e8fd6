//===- RowMerge.h - partials of a row, merged (C3) ---------------*- C++
//-*-===//
//
// The weights of a row's partials j are exp(lse_j - max) over their sum, for
// every head, and 0 if every lse is -inf. A single partial has weight 1,
// whatever its lse; of none the result is 0.
//
// No kernel writes the tables that say where a row's partials lie: they are
// read before the earlier kernels have ended. Behind that several partials are
// asked for at once, with their lse.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_ROWMERGE_H
#define RSHARD_LIB_TARGET_CUDA_ROWMERGE_H

#include "DeviceBuilder.h"
#include <optional>

namespace rshard::cuda {

class RowMerge {
public:
  /// `partial` and `element` are those of the partials and of the results.
  RowMerge(int64_t heads, int64_t headSize, mlir::Type partial,
           mlir::Type element);

  /// Neighbouring columns, all of one head, that a thread takes at once.
  int64_t columns() const { return count; }
  int64_t accessesOfRow() const { return heads * headSize / count; }

  /// `parameters` are (o, lse, begin, source) of KernelLibrary::merge.
  void prepare(DeviceBuilder &k, mlir::ValueRange parameters);

  /// The row's places [first, last) in the list of partials, and what the list
  /// says at the first of them, anything behind the last.
  struct Row {
    Int first, last;
    llvm::SmallVector<Int> partials;
  };
  /// Reads the tables alone.
  Row find(DeviceBuilder &k, Int row) const;
  /// Columns [column, column + columns()) of the merged row.
  llvm::SmallVector<Float> merge(DeviceBuilder &k, const Row &row,
                                 Int column) const;

private:
  /// Partials that are asked for at once.
  static constexpr int64_t batch = 4;

  /// What the list says at the places from `first` on.
  llvm::SmallVector<Int> partialsFrom(DeviceBuilder &k, Int first,
                                      Int last) const;
  /// Of partials at the places from `first` on: their lse, -inf behind the last
  /// one, and their columns as loaded, 0 there.
  Values loadLse(DeviceBuilder &k, llvm::ArrayRef<Int> partials, Int first,
                 Int last, Int head) const;
  Values loadColumns(DeviceBuilder &k, llvm::ArrayRef<Int> partials, Int first,
                     Int last, Int column) const;
  /// `sums`, of the weights and of the columns, with partials added in their
  /// order.
  Values add(DeviceBuilder &k, mlir::ValueRange sums,
             llvm::ArrayRef<Float> weights, mlir::ValueRange columns) const;

  int64_t heads, headSize;
  mlir::Type partial;
  int64_t count;
  Global o, lse, begin, source;
};

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_ROWMERGE_H
