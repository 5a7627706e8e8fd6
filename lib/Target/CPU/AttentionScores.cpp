//===- AttentionScores.cpp - scores of partial attention ------------------===//

#include "AttentionKernel.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rshard::cpu;

/// columns[i][j] = key j of the tile, element i. Columns past the last key hold
/// copies of it, which the mask removes.
void AttentionKernel::transposeKeys(const Task &task, const Keys &keys,
                                    Memory columns) {
  int64_t size = std::min<int64_t>(shape.lanes, d & -d);
  Index last = keys.count - 1, none = k.index(0);
  k.forEach(none, keys.count, size, [&](Index key) {
    k.forEach(none, k.index(d), size, [&](Index at) {
      SmallVector<Float> block;
      for (int64_t r = 0; r < size; ++r)
        block.push_back(k.load(
            keyCache, {keys.from + k.min(key + r, last), task.keyHead * d + at},
            size));
      block = k.transpose(block);
      for (int64_t r = 0; r < size; ++r)
        k.store(block[r], columns, {at + r, key}, size);
    });
  });
}

/// The score of a product of a scaled query and a key, capped if the parameters
/// say so.
Float AttentionKernel::scoreOf(Float product) {
  if (!params.softCap)
    return product;
  return k.tanh(product * (1.0 / params.softCap)) * params.softCap;
}

void AttentionKernel::scoreTile(const Task &task, const Range &columns,
                                Index line, int64_t height, Memory transposed) {
  SmallVector<Index> slots;
  for (int64_t r = 0; r < height; ++r)
    slots.push_back(line + r);
  k.forEach(columns.begin, columns.end, pieceColumns, [&](Index key) {
    KernelBuilder::Carried zeros(height, k.constant(0.0, pieceColumns));
    auto scores = k.fold(
        k.index(0), k.index(d), 1, zeros,
        [&](Index at, KernelBuilder::Carried &sum) {
          Float column = k.load(transposed, {at, key}, pieceColumns);
          for (int64_t r = 0; r < height; ++r) {
            Float element = k.load(task.queries, {slots[r], at});
            sum[r] = k.fma(k.broadcast(element, pieceColumns), column, sum[r]);
          }
        });
    for (int64_t r = 0; r < height; ++r)
      k.store(scoreOf(scores[r]), task.scores, {k.index(r), key}, pieceColumns);
  });
}

void AttentionKernel::scoreDots(const Task &task, const Keys &keys,
                                int64_t height) {
  int64_t width = std::min<int64_t>(
      shape.lanes, static_cast<int64_t>(llvm::PowerOf2Ceil(d)));
  k.forEach(k.index(0), keys.count, 1, [&](Index key) {
    SmallVector<Float> sums(height, k.constant(0.0, width));
    for (int64_t at = 0; at < d; at += width) {
      Lanes lanes(width, std::min(width, d - at));
      Index i = k.index(at);
      Float part =
          k.load(keyCache, {keys.from + key, task.keyHead * d + i}, lanes);
      for (int64_t r = 0; r < height; ++r)
        sums[r] =
            k.fma(k.load(task.queries, {k.index(r), i}, lanes), part, sums[r]);
    }
    for (int64_t r = 0; r < height; ++r)
      k.store(scoreOf(k.sum(sums[r])), task.scores, {k.index(r), key});
  });
}
