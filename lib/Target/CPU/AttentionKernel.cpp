//===- AttentionKernel.cpp - tasks of partial attention -------------------===//

#include "AttentionKernel.h"
#include "KernelTypes.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;
using namespace rshard::cpu;

AttentionKernel::AttentionKernel(KernelBuilder &k,
                                 const AttentionParams &params,
                                 const TargetShape &shape, ValueRange arguments)
    : k(k), params(params), shape(shape), q(arguments[0]), source(arguments[1]),
      keyCache(arguments[2]), valueCache(arguments[3]), firstKeys(arguments[4]),
      lastKeys(arguments[5]), o(arguments[6]), lse(arguments[7]),
      first(k, arguments[8]) {}

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

//===----------------------------------------------------------------------===//
// State
//===----------------------------------------------------------------------===//

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

void AttentionKernel::eachTile(const Task &task,
                               function_ref<void(Keys)> body) {
  Index size = k.index(shape.keys);
  k.forEach(task.keys.begin / size * size, task.keys.end, shape.keys,
            [&](Index from) {
              body({from, k.min(task.keys.end - from, size), valueCache, from,
                    task.keyHead * d});
            });
}

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

func::FuncOp KernelLibrary::attention(const AttentionParams &params) {
  KernelTypes types(module.getContext());
  int64_t queryWidth = params.queryHeads * params.headWidth;
  int64_t keyWidth = params.keyHeads * params.headWidth;
  std::string name = (Twine("attention_") + Twine(params.queryHeads) + "x" +
                      Twine(params.keyHeads) + "x" + Twine(params.headWidth) +
                      "_" + nameOf(params.scale))
                         .str();
  if (params.softCap)
    name += "_cap_" + nameOf(params.softCap);
  Type query = types.matrix(queryWidth), key = types.matrix(keyWidth);
  Type table = types.table();
  return define(name,
                {query, table, key, key, table, table, query,
                 types.matrix(params.queryHeads), types.boolean()},
                [&](KernelBuilder &k, ValueRange args) {
                  AttentionKernel(k, params, shape, args).build();
                });
}
