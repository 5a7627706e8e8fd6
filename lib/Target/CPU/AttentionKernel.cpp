//===- AttentionKernel.cpp - partial attention with online softmax --------===//
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

#include "KernelTypes.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <limits>

using namespace mlir;

namespace rshard::cpu {

namespace {

constexpr double unseen = -1e30;

struct AttentionKernel {
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
  /// Keys that are left out together: two registers, enough chains of
  /// multiply-adds to keep the units busy.
  int64_t pieceColumns = std::min(2 * shape.lanes, shape.keys);

  void build();
  Task start(Index keyHead, Index begin, Index rows, int64_t maxRows);
  void manyLines(Index keyHead, Index begin, Index rows);
  void fewLines(Index keyHead, Index rows);
  void transposeKeys(const Task &task, const Keys &keys, Memory columns);
  void scoreTile(const Task &task, const Range &columns, Index line,
                 int64_t height, Memory transposed);
  void scoreDots(const Task &task, const Keys &keys, int64_t height);
  void softmax(const Task &task, const Keys &keys, const Range &columns,
               Index line, Index height);
  void softmaxLine(const Task &task, const Keys &keys, const Range &columns,
                   Index line, Index slot, bool masked);
  void accumulate(const Task &task, const Keys &keys, const Range &columns,
                  Index line, int64_t height);
  void finish(const Task &task);
  Range seenBy(Index row, Index lastRow);
  Bool allVisible(const Task &task, const Keys &keys, Index line, Index height);
  Range visibleColumns(const Keys &keys, const Range &seen);
  Bool isVisible(const Keys &keys, Index column, int64_t width, Int begin,
                 Int end);
  void eachTile(const Task &task, function_ref<void(Keys)> body);

  Index rowOf(const Task &task, Index line) {
    return task.begin + line / group;
  }
  Index headOf(const Task &task, Index line) {
    return task.keyHead * group + line % group;
  }
};

void AttentionKernel::build() {
  Index count = k.rows(source), heads = k.index(params.keyHeads);
  k.when(
      count * group <= k.index(shape.rows),
      [&] {
        // With no queries there is no task.
        k.parallel({heads, k.min(count, k.index(1))},
                   [&](At at) { fewLines(at[0], count); });
      },
      [&] {
        // Four blocks a head, if each then has enough lines to pay for
        // transposing the keys.
        int64_t least =
            std::min<int64_t>(blockRows, llvm::divideCeil(24, group));
        Index block = k.min(k.max(k.ceilDiv(count, 4), k.index(least)),
                            k.index(blockRows));
        Index blocks = (count + block - 1) / block;
        k.parallel({heads, blocks}, [&](At at) {
          Index begin = at[1] * block;
          manyLines(at[0], begin, k.min(block, count - begin));
        });
      });
}

AttentionKernel::Task AttentionKernel::start(Index keyHead, Index begin,
                                             Index rows, int64_t maxRows) {
  int64_t maxLines = maxRows * group;
  Task task{keyHead,
            begin,
            rows,
            rows * group,
            k.tile({maxLines, d}),
            k.tile({maxLines, d}),
            k.tile({maxLines}),
            k.tile({maxLines}),
            k.tile({shape.rows, shape.keys}),
            k.tile({shape.rows}),
            seenBy(begin, begin + rows - 1)};
  k.forEach(k.index(0), task.lines, 1, [&](Index line) {
    Index row = rowOf(task, line), head = headOf(task, line);
    Index pool = k.loadIndex(source, {row});
    auto eachChunk = [&](function_ref<void(Index, Index, Lanes)> body) {
      k.chunks(d, 4 * shape.lanes,
               [&](Index at, Lanes lanes) { body(at, head * d + at, lanes); });
    };
    eachChunk([&](Index at, Index column, Lanes lanes) {
      k.store(k.load(q, {pool, column}, lanes) * params.scale, task.queries,
              {line, at}, lanes);
    });
    k.when(
        first,
        [&] {
          k.store(k.constant(unseen), task.tops, {line});
          k.store(k.constant(0.0), task.totals, {line});
          eachChunk([&](Index at, Index, Lanes lanes) {
            k.store(k.constant(0.0, lanes.width), task.sums, {line, at}, lanes);
          });
        },
        [&] {
          Float earlier = k.load(lse, {row, head});
          Float none = k.constant(unseen);
          Bool seen = none < earlier;
          k.store(k.select(seen, earlier, none), task.tops, {line});
          k.store(k.select(seen, k.constant(1.0), k.constant(0.0)), task.totals,
                  {line});
          eachChunk([&](Index at, Index column, Lanes lanes) {
            k.store(k.load(o, {row, column}, lanes), task.sums, {line, at},
                    lanes);
          });
        });
  });
  return task;
}

/// The tiles that hold a key which some line sees; they begin at multiples of
/// their size.
void AttentionKernel::eachTile(const Task &task,
                               function_ref<void(Keys)> body) {
  Index size = k.index(shape.keys);
  k.forEach(task.keys.begin / size * size, task.keys.end, shape.keys,
            [&](Index from) {
              body({from, k.min(task.keys.end - from, size), valueCache, from,
                    task.keyHead * d});
            });
}

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

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

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
      k.store(scores[r], task.scores, {k.index(r), key}, pieceColumns);
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
      k.store(k.sum(sums[r]), task.scores, {k.index(r), key});
  });
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

/// Which of `width` keys from `column` of the tile on are in [begin, end).
Bool AttentionKernel::isVisible(const Keys &keys, Index column, int64_t width,
                                Int begin, Int end) {
  Int numbers = k.consecutive(keys.from + column, width);
  return (k.broadcast(begin, width) <= numbers) &
         (numbers < k.broadcast(end, width));
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

void AttentionKernel::finish(const Task &task) {
  k.forEach(k.index(0), task.lines, 1, [&](Index line) {
    Index row = rowOf(task, line), head = headOf(task, line);
    Float total = k.load(task.totals, {line}), zero = k.constant(0.0);
    Bool blind = total == zero;
    Float one = k.constant(1.0);
    Float inverse = k.select(blind, zero, one / k.select(blind, one, total));
    k.chunks(d, 4 * shape.lanes, [&](Index at, Lanes lanes) {
      k.store(k.load(task.sums, {line, at}, lanes) *
                  k.broadcast(inverse, lanes.width),
              o, {row, head * d + at}, lanes);
    });
    Float top = k.load(task.tops, {line});
    Float seen = top + k.log(k.select(blind, one, total));
    k.store(k.select(blind,
                     k.constant(-std::numeric_limits<double>::infinity()),
                     seen),
            lse, {row, head});
  });
}

//===----------------------------------------------------------------------===//
// Tasks
//===----------------------------------------------------------------------===//

void AttentionKernel::manyLines(Index keyHead, Index begin, Index rows) {
  Index none = k.index(0);
  Task task = start(keyHead, begin, rows, blockRows);
  Memory columns = k.tile({d, shape.keys});
  Memory values = k.tile({shape.keys, d});
  eachTile(task, [&](Keys keys) {
    transposeKeys(task, keys, columns);
    // Rows of the cache that are a multiple of 4 KB apart would fall into the
    // same sets of the first-level cache: values are copied too.
    k.forEach(none, keys.count, 1, [&](Index key) {
      k.chunks(d, 4 * shape.lanes, [&](Index at, Lanes lanes) {
        k.store(k.load(valueCache, {keys.from + key, keyHead * d + at}, lanes),
                values, {key, at}, lanes);
      });
    });
    keys.values = values;
    keys.valueRow = keys.valueColumn = none;
    k.forEach(none, task.lines, shape.rows, [&](Index line) {
      Index height = k.min(task.lines - line, k.index(shape.rows));
      Range seen = visibleColumns(
          keys, seenBy(rowOf(task, line), rowOf(task, line + height - 1)));
      k.when(seen.begin < seen.end, [&] {
        k.forCount(height, shape.rows, [&](int64_t count) {
          scoreTile(task, seen, line, count, columns);
        });
        softmax(task, keys, seen, line, height);
        k.forCount(height, shape.rows, [&](int64_t count) {
          accumulate(task, keys, seen, line, count);
        });
      });
    });
  });
  finish(task);
}

void AttentionKernel::fewLines(Index keyHead, Index rows) {
  Index none = k.index(0);
  int64_t maxRows = std::max<int64_t>(1, shape.rows / group);
  Task task = start(keyHead, none, rows, maxRows);
  eachTile(task, [&](Keys keys) {
    Range seen = visibleColumns(keys, task.keys);
    // Only multiples of the group occur.
    for (bool dots : {true, false}) {
      if (!dots)
        softmax(task, keys, seen, none, task.lines);
      k.forCount(task.rows, maxRows, [&](int64_t count) {
        if (dots)
          scoreDots(task, keys, count * group);
        else
          accumulate(task, keys, seen, none, count * group);
      });
    }
  });
  finish(task);
}

} // namespace

func::FuncOp KernelLibrary::attention(const AttentionParams &params) {
  KernelTypes types(module.getContext());
  int64_t queryWidth = params.queryHeads * params.headWidth;
  int64_t keyWidth = params.keyHeads * params.headWidth;
  std::string name = (Twine("attention_") + Twine(params.queryHeads) + "x" +
                      Twine(params.keyHeads) + "x" + Twine(params.headWidth) +
                      "_" + nameOf(params.scale))
                         .str();
  Type query = types.matrix(queryWidth), key = types.matrix(keyWidth);
  Type table = types.table();
  return define(name,
                {query, table, key, key, table, table, query,
                 types.matrix(params.queryHeads), types.boolean()},
                [&](KernelBuilder &k, ValueRange args) {
                  AttentionKernel{k,       params,  shape,   args[0],
                                  args[1], args[2], args[3], args[4],
                                  args[5], args[6], args[7], Bool(k, args[8])}
                      .build();
                });
}

} // namespace rshard::cpu
