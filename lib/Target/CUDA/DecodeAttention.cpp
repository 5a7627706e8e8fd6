//===- DecodeAttention.cpp - attention of a few rows to many keys ---------===//
//
// Bounded by how fast keys and values arrive. The keys are split over blocks,
// and those of a block are dealt to its warps, 16 at a time. The heads of
// several rows that share a key head are the queries of a block, 8 or 16 of
// them, so that they share what arrives: S^T = K Q^T and O^T += V^T P^T by
// mma.sync, whose left operands come straight from global memory into
// registers. That works because a product may take its columns in any order and
// a result may have its rows in any order: a thread loads 16 bytes of a row and
// uses them as the parts that the instruction gives to it.
//
// Warps merge in shared memory, blocks in the last one that is done, both in
// the order of the keys, so that bits depend on nothing else. How the keys are
// split is decided here, from their number: the launch is the same for every
// length of the cache.
//
//===----------------------------------------------------------------------===//

#include "AsyncCopy.h"
#include "Attention.h"
#include "RowElements.h"
#include "WarpMma.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <array>
#include <cmath>

using namespace mlir;

namespace rshard::cuda {

namespace {

constexpr int64_t warps = 8, threads = 32 * warps;
constexpr int64_t stepKeys = 16; ///< that a warp takes at once
/// Into how many blocks a launch splits the keys of all heads: about one for
/// each multiprocessor of an H100, but the same on every device (C9).
constexpr int64_t splitBlocks = 132;

/// Columns of a head up to which a thread has registers to spare.
constexpr int64_t narrow = 128;
/// The most rows for which this kernel is meant.
constexpr int64_t decodeRows = 16;

/// How queries become blocks.
struct Shape {
  Shape(const AttentionParams &params, int64_t tiles, int64_t mostRows)
      : tiles(tiles), queries(8 * tiles), headSize(params.headSize),
        group(params.queryHeads / params.keyHeads),
        headsPerBlock(std::min(group, queries)),
        parts(llvm::divideCeil(group, headsPerBlock)),
        rowsPerBlock(std::max<int64_t>(1, queries / group)),
        rowBlocks(llvm::divideCeil(mostRows, rowsPerBlock)),
        splits(std::max<int64_t>(1, splitBlocks / (params.keyHeads * parts))),
        chunks(llvm::divideCeil(headSize, 32)),
        panels(llvm::divideCeil(headSize, 64)), sumStride(4 * (headSize + 4)) {
    stats = layout.reserve(warps * queries * 8);
    sums = layout.reserve(warps * queries * sumStride);
    flag = layout.reserve(4);
  }

  int64_t tiles;   ///< of 8 queries
  int64_t queries; ///< of a block: heads of rows
  int64_t headSize;
  int64_t group;         ///< query heads that share a key head
  int64_t headsPerBlock; ///< of a row
  int64_t parts;         ///< blocks that a group needs
  int64_t rowsPerBlock;
  int64_t rowBlocks; ///< of the most rows
  int64_t splits;    ///< of the keys of a head, at most
  int64_t chunks;    ///< of 32 columns: accesses to a key
  int64_t panels;    ///< of 64 columns: accesses to a value
  int64_t sumStride; ///< bytes of a query's sums in shared memory
  int64_t stats, sums, flag;
  SharedLayout layout;
  /// Floats of a block in `partials`: greatest score and sum of every query,
  /// then the weighted values.
  int64_t partialSize() const { return queries * (headSize + 2); }
};

/// The weighted values of a query in some columns, the sum of the weights, and
/// the score that the weights are relative to.
struct Sums {
  Float most, sum;
  SmallVector<Float> values;
};

class DecodeAttention {
public:
  DecodeAttention(DeviceBuilder &k, const AttentionParams &params,
                  const Shape &shape, ValueRange in)
      : k(k), params(params), shape(shape), units(params),
        queries(k.asGlobal(in[0])), keys(k.asGlobal(in[1])),
        values(k.asGlobal(in[2])), first(k.asGlobal(in[3])),
        last(k.asGlobal(in[4])), output(k.asGlobal(in[5])),
        lse(k.asGlobal(in[6])), partials(k.asGlobal(in[7])),
        counters(k.asGlobal(in[8])), rows(k.asInt(in[9])),
        continues(k.asInt(in[10])), nothing(k.constant(-INFINITY)),
        zero(k.constant(0)) {}

  void build();

private:
  /// A query of the block.
  struct Query {
    Int row, head;
    Bool exists;
  };
  Query queryOf(Int index);
  /// This thread's share of the block's results: 4 columns of some queries.
  struct Item {
    Query query;
    Int index, column; ///< of the query in the block, of the result
  };
  SmallVector<Item> items();

  void loadQueries();
  void loadRow(Values &registers, Global from, Int key, Int column,
               int64_t stride, int64_t accesses);
  Values loadKeys(Int step);
  Values loadValues(Int step);
  Values attend();
  Values attendStep(Int step, Values &keyRegisters, Values &valueRegisters,
                    ValueRange state, std::optional<Int> next);
  void share(ValueRange state);
  Sums merge(ArrayRef<Sums> parts);
  SmallVector<Sums> mergeWarps(ArrayRef<Item> items);
  void leave(ArrayRef<Item> items, ArrayRef<Sums> sums);
  Bool isLast();
  SmallVector<Sums> mergeBlocks(ArrayRef<Item> items);
  void finish(ArrayRef<Item> items, ArrayRef<Sums> sums);

  /// Where the sums of a block that shares these queries are.
  Long partialOf(Int block) {
    return k.widen(unit * splits + block) * shape.partialSize();
  }

  DeviceBuilder &k;
  const AttentionParams &params;
  const Shape &shape;
  ScoreUnits units;
  Global queries, keys, values, first, last, output, lse, partials, counters;
  Int rows, continues;
  Float nothing, zero;

  Int base, thread, lane, warp;
  Int quad, member;                  ///< lane / 4 and lane % 4
  Int keyHead, part, row;            ///< what the block's queries are
  Int unit;                          ///< their number
  Int splits, active, block;         ///< blocks that share them, that have
                                     ///< keys, and this one's number
  Int low, high;                     ///< the keys that they see
  Int firstStep, steps;              ///< of this warp: firstStep + warps * i
  SmallVector<Int> queryRegisters;   ///< 4 for every chunk of every tile
  SmallVector<Int> seenFrom, seenTo; ///< of this thread's 2 queries of a tile
};

} // namespace

/// The registers of an access of 16 bytes.
static void append(DeviceBuilder &k, Values &registers, Value access) {
  for (int64_t i = 0; i != 4; ++i)
    registers.push_back(k.extract(access, i));
}

//===----------------------------------------------------------------------===//
// One warp: its share of the keys
//===----------------------------------------------------------------------===//

DecodeAttention::Query DecodeAttention::queryOf(Int index) {
  Int ofRow = index / shape.headsPerBlock;
  Int inPart = index - ofRow * shape.headsPerBlock;
  Int inGroup = part * shape.headsPerBlock + inPart;
  Query query;
  query.row = row + ofRow;
  query.head = keyHead * shape.group + inGroup;
  query.exists = (query.row < rows) & (ofRow < shape.rowsPerBlock) &
                 (inGroup < shape.group);
  return query;
}

/// The right operands of K Q^T, and which keys this thread's queries see.
void DecodeAttention::loadQueries() {
  Type access = VectorType::get({4}, k.i32());
  for (int64_t tile = 0; tile != shape.tiles; ++tile) {
    Query query = queryOf(quad + 8 * tile);
    Long at =
        k.widen(query.row * params.queryHeads + query.head) * shape.headSize +
        k.widen(member * 8);
    for (int64_t chunk = 0; chunk != shape.chunks; ++chunk) {
      // Zeros behind the end of a head: what the keys have there is finite.
      Bool inHead = member * 8 < shape.headSize - 32 * chunk;
      for (Value value : k.choose(
               query.exists & inHead, SmallVector<Type>(4, k.i32()),
               [&] {
                 Values loaded;
                 append(k, loaded,
                        k.load(access,
                               k.at(queries, at + 32 * chunk, params.element),
                               /*constant=*/true));
                 return loaded;
               },
               [&] { return Values(4, k.integer(0)); }))
        queryRegisters.push_back(k.asInt(value));
    }
    for (int64_t e = 0; e != 2; ++e) {
      Query own = queryOf(member * 2 + (8 * tile + e));
      Int ownRow = k.min(own.row, rows - 1);
      Int none = k.integer(0);
      seenFrom.push_back(k.loadInt(first, ownRow));
      seenTo.push_back(k.select(own.exists, k.loadInt(last, ownRow), none));
    }
  }
}

/// Accesses of 16 bytes to a row of keys or values, `stride` columns apart and
/// the first one at `column`. Behind the end of the head: column 0 again, whose
/// products come to nothing.
void DecodeAttention::loadRow(Values &registers, Global from, Int key,
                              Int column, int64_t stride, int64_t accesses) {
  // Behind the last key: that key again.
  Long row =
      k.widen(k.min(key, high - 1)) * (params.keyHeads * shape.headSize) +
      k.widen(keyHead * shape.headSize);
  Global start = k.at(from, row, params.element);
  Global at = k.at(start, k.widen(column), params.element);
  for (int64_t access = 0; access != accesses; ++access) {
    Global to = k.at(at, k.longInteger(stride * access), params.element);
    if (stride * (access + 1) > shape.headSize) {
      Int inHead = column + stride * access;
      inHead = k.select(inHead < shape.headSize, inHead, k.integer(0));
      to = k.at(start, k.widen(inHead), params.element);
    }
    append(k, registers,
           k.load(VectorType::get({4}, k.i32()), to, /*constant=*/true));
  }
}

/// Left operands of K Q^T: of keys lane / 4 and + 8, in chunks of 32 columns of
/// which this thread has 8.
Values DecodeAttention::loadKeys(Int step) {
  Values registers;
  Int key = low + step * stepKeys + quad;
  for (int64_t half = 0; half != 2; ++half)
    loadRow(registers, keys, key + 8 * half, member * 8, 32, shape.chunks);
  return registers;
}

/// What left operands of V^T P^T are made of: of keys 2 (lane % 4), the next,
/// and + 8, in panels of 64 columns of which this thread has 8.
Values DecodeAttention::loadValues(Int step) {
  Values registers;
  Int key = low + step * stepKeys + member * 2;
  for (int64_t offset : {0, 1, 8, 9})
    loadRow(registers, values, key + offset, quad * 8, 64, shape.panels);
  return registers;
}

/// Takes the keys of a step into `state`: for every tile of queries the
/// greatest scores, the sums and the weighted values. Registers are filled with
/// the step `next` as soon as they have been used.
Values DecodeAttention::attendStep(Int step, Values &keyRegisters,
                                   Values &valueRegisters, ValueRange state,
                                   std::optional<Int> next) {
  auto number = [](int64_t index) { return static_cast<size_t>(index); };
  SmallVector<Accumulator> scores;
  for (int64_t tile = 0; tile != shape.tiles; ++tile) {
    // Two chains: a product waits for the one before.
    std::array<Accumulator, 2> chains;
    chains[0] = chains[1] = {zero, zero, zero, zero};
    for (int64_t chunk = 0; chunk != shape.chunks; ++chunk)
      for (int64_t half = 0; half != 2; ++half) {
        auto key = [&](int64_t ofHalf, int64_t index) {
          return k.asInt(keyRegisters[number(
              4 * (ofHalf * shape.chunks + chunk) + 2 * half + index)]);
        };
        size_t query = number(4 * (tile * shape.chunks + chunk) + 2 * half);
        chains[number(half)] = multiplyAdd(
            k, params.element, {key(0, 0), key(1, 0), key(0, 1), key(1, 1)},
            {queryRegisters[query], queryRegisters[query + 1]},
            chains[number(half)]);
      }
    Accumulator sum;
    for (size_t i = 0; i != 4; ++i)
      sum[i] = scoreOf(k, params, chains[0][i] + chains[1][i]);
    scores.push_back(sum);
  }
  if (next)
    keyRegisters = loadKeys(*next);

  Values out;
  SmallVector<std::array<Float, 2>> rescale;
  SmallVector<std::array<Int, 2>> weights;
  Int key = low + step * stepKeys + quad;
  for (int64_t tile = 0; tile != shape.tiles; ++tile) {
    Accumulator &score = scores[number(tile)];
    std::array<Float, 2> most, sum, factor;
    for (size_t e = 0; e != 2; ++e) {
      size_t query = number(2 * tile) + e;
      for (int64_t half = 0; half != 2; ++half) {
        Int seen = key + 8 * half;
        Float &value = score[number(2 * half) + e];
        value = k.select((seen < seenTo[query]) & (seenFrom[query] <= seen),
                         value, nothing);
      }
      Float before = k.asFloat(state[4 * number(tile) + e]);
      Float top = k.max(score[e], score[2 + e]);
      for (int64_t mask : {4, 8, 16})
        top = k.max(top, k.shuffleXor(top, mask));
      top = k.max(top, before);
      // A query that has seen nothing: exp(-inf - 0) and not NaN.
      Float shift = k.select(top == nothing, zero, top * units.base2);
      for (size_t half = 0; half != 2; ++half) {
        Float &value = score[2 * half + e];
        value = k.exp2(k.fma(value, k.constant(units.base2), -shift));
      }
      factor[e] = k.exp2(k.fma(before, k.constant(units.base2), -shift));
      most[e] = top;
      sum[e] = k.fma(k.asFloat(state[4 * number(tile) + 2 + e]), factor[e],
                     score[e] + score[2 + e]);
    }
    llvm::append_range(out, most);
    llvm::append_range(out, sum);
    rescale.push_back(factor);
    weights.push_back(
        {transposeMatrix(k, k.pack(score[0], score[1], params.element)),
         transposeMatrix(k, k.pack(score[2], score[3], params.element))});
  }

  size_t at = number(4 * shape.tiles);
  for (int64_t panel = 0; panel != shape.panels; ++panel)
    for (int64_t pair = 0; pair != 4; ++pair) {
      // Columns 2 pair and 2 pair + 1 of this thread's 8: rows lane / 4 and + 8
      // of the left operand.
      auto value = [&](int64_t ofKey) {
        return k.asInt(
            valueRegisters[number(4 * (ofKey * shape.panels + panel) + pair)]);
      };
      std::array<Int, 4> operand = {k.permuteBytes(value(0), value(1), 0x5410),
                                    k.permuteBytes(value(0), value(1), 0x7632),
                                    k.permuteBytes(value(2), value(3), 0x5410),
                                    k.permuteBytes(value(2), value(3), 0x7632)};
      for (int64_t tile = 0; tile != shape.tiles; ++tile) {
        Accumulator sums;
        for (size_t i = 0; i != 4; ++i)
          sums[i] = k.asFloat(state[at + i]) * rescale[number(tile)][i % 2];
        sums = multiplyAdd(k, params.element, operand, weights[number(tile)],
                           sums);
        llvm::append_range(out, sums);
        at += 4;
      }
    }
  if (next)
    valueRegisters = loadValues(*next);
  return out;
}

Values DecodeAttention::attend() {
  size_t sums = static_cast<size_t>(16 * shape.panels * shape.tiles);
  Values start;
  for (int64_t tile = 0; tile != shape.tiles; ++tile)
    start.append({nothing, nothing, zero, zero});
  start.append(sums, zero);
  Int one = k.integer(1);
  // Registers for what comes next are left where heads are not wide.
  if (shape.headSize > narrow)
    return k.loop(k.integer(0), steps, one, start,
                  [&](Int i, ValueRange state) {
                    Int step = firstStep + i * warps;
                    Values keyRegisters = loadKeys(step);
                    Values valueRegisters = loadValues(step);
                    return attendStep(step, keyRegisters, valueRegisters, state,
                                      std::nullopt);
                  });
  return k.choose(
      steps > 0, TypeRange(ValueRange(start)),
      [&] {
        Values keyRegisters = loadKeys(firstStep);
        Values valueRegisters = loadValues(firstStep);
        size_t keyCount = keyRegisters.size();
        size_t valueCount = valueRegisters.size();
        Values carried = keyRegisters;
        llvm::append_range(carried, valueRegisters);
        llvm::append_range(carried, start);
        auto split = [&](ValueRange all) {
          keyRegisters = Values(all.take_front(keyCount));
          valueRegisters = Values(all.slice(keyCount, valueCount));
          return all.drop_front(keyCount + valueCount);
        };
        carried = k.loop(
            k.integer(0), steps - 1, one, carried, [&](Int i, ValueRange all) {
              Int step = firstStep + i * warps;
              Values state = attendStep(step, keyRegisters, valueRegisters,
                                        split(all), step + warps);
              Values next = keyRegisters;
              llvm::append_range(next, valueRegisters);
              llvm::append_range(next, state);
              return next;
            });
        ValueRange state = split(carried);
        return attendStep(firstStep + (steps - 1) * warps, keyRegisters,
                          valueRegisters, state, std::nullopt);
      },
      [&] { return start; });
}

//===----------------------------------------------------------------------===//
// Merging
//===----------------------------------------------------------------------===//

SmallVector<DecodeAttention::Item> DecodeAttention::items() {
  int64_t perQuery = shape.headSize / 4;
  int64_t all = shape.queries * perQuery;
  SmallVector<Item> out;
  for (int64_t from = 0; from < all; from += threads) {
    Item item;
    Int index = thread + from;
    item.index = index / perQuery;
    item.column = (index - item.index * perQuery) * 4;
    item.query = queryOf(item.index);
    if (from + threads > all)
      item.query.exists = item.query.exists & (index < k.integer(all));
    out.push_back(item);
  }
  return out;
}

/// Writes the warp's state to shared memory.
void DecodeAttention::share(ValueRange state) {
  for (int64_t tile = 0; tile != shape.tiles; ++tile)
    for (int64_t e = 0; e != 2; ++e) {
      Int query = member * 2 + (8 * tile + e);
      Int ofWarp = warp * shape.queries + query;
      size_t at = static_cast<size_t>(4 * tile + e);
      Float sum = k.asFloat(state[at + 2]);
      for (int64_t mask : {4, 8, 16})
        sum = sum + k.shuffleXor(sum, mask);
      k.when(quad == 0, [&] {
        k.storeShared(k.combine({state[at], sum}),
                      base + shape.stats + (ofWarp << 3));
      });
      for (int64_t panel = 0; panel != shape.panels; ++panel) {
        Int column = quad * 8 + 64 * panel;
        auto write = [&] {
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
        if (64 * (panel + 1) > shape.headSize)
          k.when(column < shape.headSize, write);
        else
          write();
      }
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
    for (int64_t w = 0; w != warps; ++w) {
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
  Long at = partialOf(block);
  for (auto [item, sum] : llvm::zip_equal(items, sums)) {
    const Item &to = item;
    const Sums &from = sum;
    k.when(to.query.exists, [&] {
      k.when(to.column == 0, [&] {
        storeElements(k, {from.most, from.sum}, partials,
                      at + k.widen(to.index << 1), k.f32());
      });
      storeElements(k, from.values, partials,
                    at + k.widen(to.index * shape.headSize + to.column +
                                 2 * shape.queries),
                    k.f32());
    });
  }
}

/// Whether all other blocks that share the queries have left their sums, which
/// this thread may then read.
Bool DecodeAttention::isLast() {
  k.syncBlock();
  k.when(thread == 0, [&] {
    k.fenceDevice();
    Global counter = k.at(counters, k.widen(unit), k.i32());
    Int before = k.atomicAdd(counter, k.integer(1));
    Bool all = before == active - 1;
    k.when(all, [&] { k.store(k.integer(0), counter); });
    k.fenceDevice();
    k.storeShared(k.widen(all), base + shape.flag);
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
    Values start{nothing, zero};
    start.append(4, zero);
    Values sums = k.loop(
        k.integer(0), active, k.integer(together), start,
        [&](Int from, ValueRange carried) {
          SmallVector<Sums> parts(1);
          parts[0].most = k.asFloat(carried[0]);
          parts[0].sum = k.asFloat(carried[1]);
          for (Value value : carried.drop_front(2))
            parts[0].values.push_back(k.asFloat(value));
          for (int64_t i = 0; i != together; ++i) {
            Bool there = from + i < active;
            Long at = partialOf(k.min(from + i, active - 1));
            auto stats = loadElements(k, partials, at + k.widen(index << 1),
                                      k.f32(), 2, /*constant=*/false);
            Sums part{
                k.select(there, stats[0], nothing), stats[1],
                loadElements(k, partials,
                             at + k.widen(index * shape.headSize + item.column +
                                          2 * shape.queries),
                             k.f32(), 4, /*constant=*/false)};
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
                    k, k.loadFloat(lse, index, /*constant=*/false), natural,
                    inverse);
                auto earlier = loadElements(k, output, at, params.result, 4,
                                            /*constant=*/false);
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

void DecodeAttention::build() {
  base = k.sharedMemory();
  thread = k.thread();
  lane = k.lane();
  warp = k.warp();
  quad = lane >> 2;
  member = lane & 3;

  // Blocks that run at the same time have the heads of the same keys.
  Int rowBlocks =
      shape.rowBlocks == 1 ? k.integer(1) : k.ceilDiv(rows, shape.rowsPerBlock);
  Int number = k.block();
  block = number / (params.keyHeads * shape.parts);
  Int rest = number - block * (params.keyHeads * shape.parts);
  Int rowBlock = block - block / rowBlocks * rowBlocks;
  block = block / rowBlocks;
  part = rest / params.keyHeads;
  keyHead = rest - part * params.keyHeads;
  row = rowBlock * shape.rowsPerBlock;
  unit = rowBlock * (params.keyHeads * shape.parts) + rest;

  Int lastRow = k.min(row + shape.rowsPerBlock, rows) - 1;
  low = k.loadInt(first, row);
  high = k.loadInt(last, lastRow);
  loadQueries();

  Int all = k.ceilDiv(k.max(high - low, k.integer(0)), stepKeys);
  Int one = k.integer(1);
  splits = k.max(k.integer(shape.splits) / rowBlocks, one);
  // A block has a step for each of its warps, or is not needed.
  Int each = k.max((all + splits - 1) / splits, k.integer(warps));
  active = k.max((all + each - 1) / each, one);
  Int begin = block * each;
  firstStep = begin + warp;
  steps =
      k.max(k.min(begin + each, all) - firstStep + (warps - 1), k.integer(0)) /
      k.integer(warps);
  k.when(block < active, [&] {
    share(attend());
    k.syncBlock();
    SmallVector<Item> mine = items();
    SmallVector<Sums> sums = mergeWarps(mine);
    k.when(
        active == 1, [&] { finish(mine, sums); },
        [&] {
          leave(mine, sums);
          k.when(isLast(), [&] { finish(mine, mergeBlocks(mine)); });
        });
  });
}

/// Tiles of queries of the variants, and the most rows of each.
static SmallVector<std::pair<int64_t, int64_t>>
decodeVariants(const AttentionParams &params) {
  int64_t group = params.queryHeads / params.keyHeads;
  // Two tiles of wide heads do not fit in the registers.
  if (params.headSize > narrow)
    return {{1, decodeRows}};
  if (group > 8)
    return {{2, decodeRows}};
  return {{1, 8 / group}, {2, decodeRows}};
}

AttentionScratch attentionScratch(const AttentionParams &params) {
  AttentionScratch scratch{0, 1};
  for (auto [tiles, rows] : decodeVariants(params)) {
    Shape shape(params, tiles, rows);
    int64_t heads = params.keyHeads * shape.parts;
    scratch.partials =
        std::max(scratch.partials, heads * shape.splits * shape.partialSize());
    scratch.counters = std::max(scratch.counters, heads * shape.rowBlocks);
  }
  return scratch;
}

SmallVector<KernelLibrary::Variant>
KernelLibrary::decodeAttention(const AttentionParams &params) {
  SmallVector<Variant> out;
  for (auto [tiles, most] : decodeVariants(params)) {
    Shape shape(params, tiles, most);
    Launch launch;
    launch.threads = threads;
    launch.shared = shape.layout.getSize();
    launch.blocks = params.keyHeads * shape.parts * shape.splits;
    launch.grid = {blocksOf(0, shape.rowsPerBlock)};
    for (int64_t argument = 0; argument != 9; ++argument)
      launch.parameters.push_back(pointer(argument));
    launch.parameters.push_back(rows(0));
    launch.parameters.push_back(scalar(9));
    out.push_back({most, define(attentionName("decode_attention_" +
                                                  std::to_string(8 * tiles),
                                              params),
                                launch, [&](DeviceBuilder &k, ValueRange in) {
                                  DecodeAttention(k, params, shape, in).build();
                                })});
  }
  return out;
}

} // namespace rshard::cuda
