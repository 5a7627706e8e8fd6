//===- AttentionKernel.h - attention with online softmax --------*- C++ -*-===//
//
// One task computes one key head for a block of queries. The heads of the group
// that share it are treated as further rows: line r * group + g is query r of
// head g. Keys pass in tiles of `shape.keys`. Running state per line: the top
// score, the sum of exponentials (0 until a key is seen) and the unnormalised
// output. An earlier partial (o, lse) is continued as the state (lse, 1, o).
//
// A query sees one range of keys, and the ranges of later queries begin and end
// no earlier. So those of the first and last line of a block tell which tiles
// it passes, and whether all of its lines see all of a tile. Else registers of
// keys outside of the block's range are left out, and the others are masked.
// Shards are short, so that most of their tiles are at the end of the cache or
// on the diagonal. The top of a line that has seen nothing is a large negative
// number rather than -inf, so that no difference is ever NaN.
//
// With many lines a tile of keys is transposed once and scores come from the
// same register kernel as linear layers. With few lines that would cost more
// than it saves: scores are then dot products.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CPU_ATTENTIONKERNEL_H
#define RSHARD_LIB_TARGET_CPU_ATTENTIONKERNEL_H

#include "KernelBuilder.h"
#include "rshard/Target/CPU/KernelLibrary.h"
#include <algorithm>

namespace rshard::cpu {

/// The top score of a line that has seen no key.
constexpr double unseen = -1e30;

class AttentionKernel {
public:
  /// `arguments`: those of KernelLibrary::attention.
  AttentionKernel(KernelBuilder &k, const AttentionParams &params,
                  const TargetShape &shape, mlir::ValueRange arguments);

  void build();

private:
  /// Keys [begin, end), or columns of a tile.
  struct Range {
    Index begin, end;
  };
  /// The state of one task.
  struct Task {
    Index keyHead, begin, rows, lines;
    Memory queries, sums, tops, totals; ///< one row or element per line
    Memory scores, factors;             ///< of up to shape.rows lines
    Range keys;                         ///< that some line sees
  };
  /// A tile: the keys [from, from + count) and where their values are.
  struct Keys {
    Index from, count;
    Memory values;
    Index valueRow, valueColumn;
  };

  // Tasks (AttentionKernel.cpp).
  void manyLines(Index keyHead, Index begin, Index rows);
  void fewLines(Index keyHead, Index rows);
  Task start(Index keyHead, Index begin, Index rows, int64_t maxRows);
  void finish(const Task &task);
  /// The tiles that hold a key which some line sees; they begin at multiples of
  /// their size.
  void eachTile(const Task &task, llvm::function_ref<void(Keys)> body);

  // Scores (AttentionScores.cpp).
  void transposeKeys(const Task &task, const Keys &keys, Memory columns);
  Float scoreOf(Float product);
  void scoreTile(const Task &task, const Range &columns, Index line,
                 int64_t height, Memory transposed);
  void scoreDots(const Task &task, const Keys &keys, int64_t height);

  // Which keys a line sees, and what they add to it (AttentionSoftmax.cpp).
  Range seenBy(Index row, Index lastRow);
  Range visibleColumns(const Keys &keys, const Range &seen);
  Bool allVisible(const Task &task, const Keys &keys, Index line, Index height);
  Bool isVisible(const Keys &keys, Index column, int64_t width, Int begin,
                 Int end);
  void softmax(const Task &task, const Keys &keys, const Range &columns,
               Index line, Index height);
  void softmaxLine(const Task &task, const Keys &keys, const Range &columns,
                   Index line, Index slot, bool masked);
  void accumulate(const Task &task, const Keys &keys, const Range &columns,
                  Index line, int64_t height);

  Index rowOf(const Task &task, Index line) {
    return task.begin + line / group;
  }
  Index headOf(const Task &task, Index line) {
    return task.keyHead * group + line % group;
  }

  KernelBuilder &k;
  const AttentionParams &params;
  const TargetShape &shape;
  Memory q, source, keyCache, valueCache, firstKeys, lastKeys;
  Memory o, lse;
  Bool first;

  int64_t d = params.headWidth;
  int64_t group = params.queryHeads / params.keyHeads;
  /// Queries of one task: enough to pay for transposing the keys, few enough
  /// for the state to stay in the second-level cache.
  int64_t blockRows =
      std::max<int64_t>(1, std::clamp<int64_t>(6144 / d, 24, 96) / group);
  /// Keys that are left out together: two registers, enough chains of
  /// multiply-adds to keep the units busy.
  int64_t pieceColumns = std::min(2 * shape.lanes, shape.keys);
};

} // namespace rshard::cpu

#endif // RSHARD_LIB_TARGET_CPU_ATTENTIONKERNEL_H
