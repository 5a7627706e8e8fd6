//===- AttentionSoftmax.cpp - what keys weigh, and their values -----------===//

#include "AttentionKernel.h"

using namespace mlir;
using namespace rshard::cpu;

//===----------------------------------------------------------------------===//
// Visibility
//===----------------------------------------------------------------------===//

/// The keys that some query of the rows [row, lastRow] sees.
AttentionKernel::Range AttentionKernel::seenBy(Index row, Index lastRow) {
  return {k.loadIndex(firstKeys, {row}), k.loadIndex(lastKeys, {lastRow})};
}

/// Whether each of `height` lines sees all keys of a whole tile.
Bool AttentionKernel::allVisible(const Task &task, const Keys &keys, Index line,
                                 Index height) {
  Index begin = k.loadIndex(firstKeys, {rowOf(task, line + height - 1)});
  Index end = k.loadIndex(lastKeys, {rowOf(task, line)});
  return (begin <= keys.from) & (keys.from + shape.keys <= end);
}

/// The whole pieces of a tile outside of which no key is in `seen`.
AttentionKernel::Range AttentionKernel::visibleColumns(const Keys &keys,
                                                       const Range &seen) {
  Index piece = k.index(pieceColumns);
  Index begin = k.max(seen.begin, keys.from) - keys.from;
  Index end = k.min(k.max(seen.end, keys.from) - keys.from, keys.count);
  return {begin / piece * piece, k.ceilDiv(end, pieceColumns) * pieceColumns};
}

/// Which of `width` keys from `column` of the tile on are in [begin, end).
Bool AttentionKernel::isVisible(const Keys &keys, Index column, int64_t width,
                                Int begin, Int end) {
  Int numbers = k.consecutive(keys.from + column, width);
  return (k.broadcast(begin, width) <= numbers) &
         (numbers < k.broadcast(end, width));
}

//===----------------------------------------------------------------------===//
// Online softmax
//===----------------------------------------------------------------------===//

void AttentionKernel::softmax(const Task &task, const Keys &keys,
                              const Range &columns, Index line, Index height) {
  auto lines = [&](bool masked) {
    k.forEach(k.index(0), height, 1, [&](Index slot) {
      softmaxLine(task, keys, columns, line + slot, slot, masked);
    });
  };
  k.when(
      allVisible(task, keys, line, height), [&] { lines(false); },
      [&] { lines(true); });
}

/// Turns the scores of one line into exponentials under its new top and leaves
/// in `factors` what its earlier sums must be multiplied by.
void AttentionKernel::softmaxLine(const Task &task, const Keys &keys,
                                  const Range &columns, Index line, Index slot,
                                  bool masked) {
  // A tile that is seen as a whole stays in registers.
  int64_t width = masked ? pieceColumns : shape.keys;
  Index begin = masked ? columns.begin : k.index(0);
  Index end = masked ? columns.end : k.index(shape.keys);
  Float unseenWide = k.constant(unseen, width);
  Int seenBegin, seenEnd;
  if (masked) {
    seenBegin = k.loadInt(firstKeys, {rowOf(task, line)});
    seenEnd = k.loadInt(lastKeys, {rowOf(task, line)});
  }
  auto visible = [&](Index column) {
    return isVisible(keys, column, width, seenBegin, seenEnd);
  };
  auto scoresAt = [&](Index column) {
    Float scores = k.load(task.scores, {slot, column}, width);
    if (!masked)
      return scores;
    return k.select(visible(column), scores, unseenWide);
  };
  Float tops = k.fold(begin, end, width, {unseenWide},
                      [&](Index column, KernelBuilder::Carried &top) {
                        top[0] = k.max(top[0], scoresAt(column));
                      })[0];
  Float before = k.load(task.tops, {line});
  Float top = k.max(before, k.maximum(tops));
  Float sums =
      k.fold(begin, end, width, {k.constant(0.0, width)},
             [&](Index column, KernelBuilder::Carried &sum) {
               Float exponentials =
                   k.exp(scoresAt(column) - k.broadcast(top, width));
               if (masked)
                 exponentials = k.keep(exponentials, visible(column));
               k.store(exponentials, task.scores, {slot, column}, width);
               sum[0] = sum[0] + exponentials;
             })[0];
  Float factor = k.exp(before - top);
  Float total = k.fma(k.load(task.totals, {line}), factor, k.sum(sums));
  k.store(top, task.tops, {line});
  k.store(total, task.totals, {line});
  k.store(factor, task.factors, {slot});
}

/// sums = sums * factor + exponentials * values
void AttentionKernel::accumulate(const Task &task, const Keys &keys,
                                 const Range &columns, Index line,
                                 int64_t height) {
  for (auto [at, piece] : KernelBuilder::cover(d, shape.panel)) {
    Lanes lanes = piece;
    Index column = k.index(at);
    KernelBuilder::Carried sums;
    for (int64_t r = 0; r < height; ++r)
      sums.push_back(
          k.load(task.sums, {line + r, column}, lanes) *
          k.broadcast(k.load(task.factors, {k.index(r)}), lanes.width));
    sums = k.fold(
        columns.begin, k.min(columns.end, keys.count), 1, sums,
        [&](Index key, KernelBuilder::Carried &sum) {
          Float value =
              k.load(keys.values,
                     {keys.valueRow + key, keys.valueColumn + column}, lanes);
          for (int64_t r = 0; r < height; ++r) {
            Float weight = k.load(task.scores, {k.index(r), key});
            sum[r] = k.fma(k.broadcast(weight, lanes.width), value, sum[r]);
          }
        });
    for (int64_t r = 0; r < height; ++r)
      k.store(sums[r], task.sums, {line + r, column}, lanes);
  }
}
