//===- DecodeAttentionMerge.cpp - what warps and blocks found, as one -----===//

#include "DecodeAttention.h"
#include "RowElements.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace rshard::cuda {

SmallVector<DecodeAttention::Item> DecodeAttention::items() {
  int64_t perQuery = shape.headSize / 4;
  int64_t all = shape.queries * perQuery;
  SmallVector<Item> out;
  for (int64_t from = 0; from < all; from += Shape::threads) {
    Item item;
    Int index = thread + from;
    item.index = index / perQuery;
    item.column = (index - item.index * perQuery) * 4;
    item.query = queryOf(item.index);
    if (from + Shape::threads > all)
      item.query.exists = item.query.exists & (index < k.integer(all));
    out.push_back(item);
  }
  return out;
}

/// Writes the warp's state of queries that exist to shared memory.
void DecodeAttention::share(ValueRange state) {
  for (int64_t tile = 0; tile != shape.tiles; ++tile)
    for (int64_t e = 0; e != 2; ++e) {
      Int query = member * 2 + (8 * tile + e);
      Int ofWarp = warp * shape.queries + query;
      size_t at = static_cast<size_t>(4 * tile + e);
      Float sum = k.asFloat(state[at + 2]);
      for (int64_t mask : {4, 8, 16})
        sum = sum + k.shuffleXor(sum, mask);
      auto write = [&](int64_t panel) {
        Int column = quad * 8 + 64 * panel;
        for (int64_t half = 0; half != 2; ++half) {
          Values four;
          for (int64_t i = 0; i != 4; ++i) {
            // Column 4 half + i of the thread's 8.
            int64_t pair = 2 * half + i / 2;
            four.push_back(state[static_cast<size_t>(
                4 * shape.tiles +
                4 * ((panel * 4 + pair) * shape.tiles + tile) + 2 * (i % 2) +
                e)]);
          }
          k.storeShared(k.combine(four), base + shape.sums +
                                             ofWarp * shape.sumStride +
                                             (column << 2) + 16 * half);
        }
      };
      k.when(exists[static_cast<size_t>(2 * tile + e)], [&] {
        k.when(quad == 0, [&] {
          k.storeShared(k.combine({state[at], sum}),
                        base + shape.stats + (ofWarp << 3));
        });
        for (int64_t panel = 0; panel != shape.panels; ++panel)
          if (64 * (panel + 1) > shape.headSize)
            k.when(quad * 8 < shape.headSize - 64 * panel,
                   [&] { write(panel); });
          else
            write(panel);
      });
    }
}

Sums DecodeAttention::merge(ArrayRef<Sums> parts) {
  Sums out;
  out.most = parts[0].most;
  for (const Sums &part : parts.drop_front())
    out.most = k.max(out.most, part.most);
  Float shift = k.select(out.most == nothing, zero, out.most * units.base2);
  out.sum = zero;
  out.values.assign(4, zero);
  for (const Sums &part : parts) {
    Float weight = k.exp2(k.fma(part.most, k.constant(units.base2), -shift));
    out.sum = k.fma(weight, part.sum, out.sum);
    for (auto [value, added] : llvm::zip_equal(out.values, part.values))
      value = k.fma(weight, added, value);
  }
  return out;
}

SmallVector<Sums> DecodeAttention::mergeWarps(ArrayRef<Item> items) {
  SmallVector<Sums> out;
  for (const Item &item : items) {
    // Threads without a query have one that is there to read.
    Int index = k.min(item.index, k.integer(shape.queries - 1));
    SmallVector<Sums> parts;
    for (int64_t w = 0; w != Shape::warps; ++w) {
      Int ofWarp = index + w * shape.queries;
      Value stats = k.loadShared(VectorType::get({2}, k.f32()),
                                 base + shape.stats + (ofWarp << 3));
      Value four = k.loadShared(VectorType::get({4}, k.f32()),
                                base + shape.sums + ofWarp * shape.sumStride +
                                    (item.column << 2));
      Sums part{
          k.asFloat(k.extract(stats, 0)), k.asFloat(k.extract(stats, 1)), {}};
      for (int64_t i = 0; i != 4; ++i)
        part.values.push_back(k.asFloat(k.extract(four, i)));
      parts.push_back(part);
    }
    out.push_back(merge(parts));
  }
  return out;
}

/// Leaves the block's sums for the one that is done last.
void DecodeAttention::leave(ArrayRef<Item> items, ArrayRef<Sums> sums) {
  Long place = placeOf(block);
  for (auto [item, sum] : llvm::zip_equal(items, sums)) {
    const Item &to = item;
    const Sums &from = sum;
    k.when(to.query.exists, [&] {
      k.when(to.column == 0, [&] {
        storeElements(k, {from.most, from.sum}, statsOf(to.index), place,
                      k.f32());
      });
      storeElements(k, from.values, valuesOf(to.index, to.column), place,
                    k.f32());
    });
  }
}

/// Whether all other blocks that share the queries have left their sums, which
/// this thread may then read.
Bool DecodeAttention::isLast() {
  k.syncBlock();
  k.when(thread == 0, [&] {
    Global counter = k.at(counters, k.widen(unit), k.i32());
    Int before = k.atomicAddInOrder(counter, k.integer(1));
    Bool all = before == active - 1;
    k.storeShared(k.widen(all), base + shape.flag);
    k.when(all, [&] { k.store(k.integer(0), counter); });
  });
  k.syncBlock();
  return k.asInt(k.loadShared(k.i32(), base + shape.flag)) != 0;
}

SmallVector<Sums> DecodeAttention::mergeBlocks(ArrayRef<Item> items) {
  // So many at once: what they left is on its way together.
  int64_t together = std::min<int64_t>(16, shape.splits);
  SmallVector<Sums> out;
  for (const Item &item : items) {
    Int index = k.min(item.index, k.integer(shape.queries - 1));
    Global stats = statsOf(index), values = valuesOf(index, item.column);
    Values start{nothing, zero};
    start.append(4, zero);
    Values sums =
        k.loop(k.integer(0), active, k.integer(together), start,
               [&](Int from, ValueRange carried) {
                 SmallVector<Sums> parts(1);
                 parts[0].most = k.asFloat(carried[0]);
                 parts[0].sum = k.asFloat(carried[1]);
                 for (Value value : carried.drop_front(2))
                   parts[0].values.push_back(k.asFloat(value));
                 for (int64_t i = 0; i != together; ++i) {
                   Bool there = from + i < active;
                   Long place = placeOf(k.min(from + i, active - 1));
                   auto two = loadElements(k, stats, place, k.f32(), 2);
                   Sums part{k.select(there, two[0], nothing), two[1],
                             loadElements(k, values, place, k.f32(), 4)};
                   parts.push_back(part);
                 }
                 Sums merged = merge(parts);
                 Values next{merged.most, merged.sum};
                 llvm::append_range(next, merged.values);
                 return next;
               });
    Sums merged{k.asFloat(sums[0]), k.asFloat(sums[1]), {}};
    for (Value value : ArrayRef<Value>(sums).drop_front(2))
      merged.values.push_back(k.asFloat(value));
    out.push_back(merged);
  }
  return out;
}

void DecodeAttention::finish(ArrayRef<Item> items, ArrayRef<Sums> sums) {
  SmallVector<Float> logs;
  for (auto [item, sum] : llvm::zip_equal(items, sums)) {
    const Item &to = item;
    const Sums &from = sum;
    Bool none = from.sum == zero;
    Float inverse = k.select(none, zero, k.reciprocal(from.sum));
    Float natural = k.select(
        none, nothing,
        k.fma(from.most, k.constant(units.natural), k.log2(from.sum) * ln2));
    logs.push_back(k.asFloat(k.choose(
        to.query.exists, k.f32(),
        [&] {
          Int index = to.query.row * params.queryHeads + to.query.head;
          Long at = k.widen(index) * shape.headSize + k.widen(to.column);
          Values results = k.choose(
              continues != 0, SmallVector<Type>(5, k.f32()),
              [&] {
                Continuation weights = continuePartial(
                    k, k.loadFloat(lse, index), natural, inverse);
                auto earlier = loadElements(k, output, at, params.result, 4);
                Values merged{weights.lse};
                for (size_t i = 0; i != 4; ++i)
                  merged.push_back(k.fma(earlier[i], weights.earlier,
                                         from.values[i] * weights.added));
                return merged;
              },
              [&] {
                Values scaled{natural};
                for (Float value : from.values)
                  scaled.push_back(value * inverse);
                return scaled;
              });
          storeElements(k,
                        llvm::map_to_vector(
                            ArrayRef<Value>(results).drop_front(),
                            [&](Value value) { return k.asFloat(value); }),
                        output, at, params.result);
          return Values{results[0]};
        },
        [&] { return Values{nothing}; })[0]));
  }
  // All have read the earlier one.
  k.syncBlock();
  for (auto [item, log] : llvm::zip_equal(items, logs)) {
    const Item &to = item;
    Float value = log;
    k.when(to.query.exists & (to.column == 0), [&] {
      Int index = to.query.row * params.queryHeads + to.query.head;
      k.store(value, k.at(lse, k.widen(index), k.f32()));
    });
  }
}

} // namespace rshard::cuda
