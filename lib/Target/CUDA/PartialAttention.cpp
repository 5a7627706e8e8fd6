//===- PartialAttention.cpp - attention of any number of rows -------------===//
//
// A persistent block takes tiles of rows of one head. One warpgroup copies: a
// warp brings queries, keys and values, a thread of another hands out the tiles
// and says which keys each of them needs. The other warpgroups compute 64 rows
// each: S = Q K^T, P = exp(S - max), O = O * rescale + P V, tile of keys by
// tile of keys. While one of them takes exponentials the other one has the
// tensor cores (named barriers hand them over), and the product with the next
// keys is in flight meanwhile.
//
// first and last say all about masks: tiles of keys that no row of a warpgroup
// sees are skipped, those that all rows see are not masked. Keys are visited
// from the last to the first, so that the tiles on a causal diagonal come first
// and the loop behind them is the unmasked one.
//
//===----------------------------------------------------------------------===//

#include "AsyncCopy.h"
#include "Attention.h"
#include "RowElements.h"
#include "Wgmma.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <array>
#include <cmath>

using namespace mlir;

namespace rshard::cuda {

namespace {

constexpr int64_t warpgroupRows = 64, warpgroupThreads = 128;
constexpr int64_t rowBytes = 128;    // of a panel in shared memory
constexpr int64_t panelColumns = 64; // of 16-bit values
constexpr int64_t sharedLimit = 232448;
/// Of the second-level cache: heads whose keys and values fit in it together
/// are worked on at the same time.
constexpr int64_t cacheBytes = int64_t(32) << 20;

/// How a block cuts up its work.
struct Tiling {
  int64_t warpgroups;  ///< that compute
  int64_t keys;        ///< in a tile
  int64_t stages;      ///< tiles of keys, and of values; a power of two
  int64_t queryStages; ///< 1 or 2
};

Tiling tilingFor(int64_t headSize) {
  if (headSize <= 64)
    return {2, 128, 4, 2};
  if (headSize <= 128)
    return {2, 128, 2, 2};
  return {2, 64, 2, 1};
}

/// Words of the description of a tile in shared memory. The last four are there
/// for every warpgroup: how many tiles of keys it skips first, how many it sees
/// then, and which of those are not masked: [masked, unmaskedEnd).
enum Word : int64_t {
  valid,
  tiles,
  top, ///< number of the first tile of keys to visit: they descend
  firstRow,
  head,
  ofWarpgroup
};
enum WarpgroupWord : int64_t { skipped, seen, masked, unmaskedEnd, wordsEach };

/// What the kernel of some parameters occupies.
struct Shape {
  explicit Shape(const AttentionParams &params)
      : tiling(tilingFor(params.headSize)), headSize(params.headSize),
        rows(tiling.warpgroups * warpgroupRows),
        threads(warpgroupThreads * (tiling.warpgroups + 1)),
        panels(llvm::divideCeil(headSize, panelColumns)),
        tileBytes(tiling.keys * rowBytes * panels),
        queryBytes(rows * rowBytes * panels) {
    queries = layout.reserve(queryBytes * tiling.queryStages, 1024);
    keys = layout.reserve(tileBytes * tiling.stages, 1024);
    values = layout.reserve(tileBytes * tiling.stages, 1024);
    queriesFull = layout.barriers(tiling.queryStages);
    queriesEmpty = layout.barriers(tiling.queryStages);
    keysFull = layout.barriers(tiling.stages);
    keysEmpty = layout.barriers(tiling.stages);
    valuesFull = layout.barriers(tiling.stages);
    valuesEmpty = layout.barriers(tiling.stages);
    tileFull = layout.barriers(1);
    tileEmpty = layout.barriers(1);
    tile = layout.reserve(4 * (ofWarpgroup + wordsEach * tiling.warpgroups));
    // Results leave through the place of their queries. Those of f32 need twice
    // that: the rest goes beside it if there is room, else they go in turns.
    resultColumns = rowBytes / (params.result.isF32() ? 4 : 2);
    resultPanels = llvm::divideCeil(headSize, resultColumns);
    int64_t rest = resultPanels - panels;
    int64_t restBytes = tiling.warpgroups * rest * warpgroupRows * rowBytes;
    if (rest > 0 && layout.getSize() + restBytes + 1024 <= sharedLimit) {
      results = layout.reserve(restBytes, 1024);
      extraPanels = rest;
    }
  }

  Tiling tiling;
  int64_t headSize;
  int64_t rows, threads, panels, tileBytes, queryBytes;
  int64_t queries, keys, values;
  int64_t queriesFull, queriesEmpty, keysFull, keysEmpty, valuesFull,
      valuesEmpty, tileFull, tileEmpty, tile;
  int64_t resultColumns, resultPanels, results = 0, extraPanels = 0;
  SharedLayout layout;
};

/// The rows lane / 4 and lane / 4 + 8 of a warp: the greatest score so far, and
/// this thread's share of the sum of exponentials.
struct RowState {
  std::array<Float, 2> most, sum;
};

/// A tile of rows, as a warpgroup sees it.
struct Tile {
  Int row; ///< the first one of the warpgroup
  Int head;
  std::array<Int, 2> first, last; ///< of this thread's rows
  Int queries;                    ///< where they are in shared memory
  Long queriesAt;                 ///< their descriptor
  Int top, seen;
  Int steps; ///< tiles of keys that the block has taken before this one's first
};

class PartialAttention {
public:
  PartialAttention(DeviceBuilder &k, const AttentionParams &params,
                   const Shape &shape, ValueRange in)
      : k(k), params(params), shape(shape), tiling(shape.tiling), mapQ(in[0]),
        mapK(in[1]), mapV(in[2]), mapO(in[3]), first(k.asGlobal(in[4])),
        last(k.asGlobal(in[5])), output(k.asGlobal(in[6])),
        lse(k.asGlobal(in[7])), counter(k.asGlobal(in[8])),
        rows(k.asInt(in[9])), keyRows(k.asInt(in[10])),
        continues(k.asInt(in[11])), units(params) {
    scores.columns = tiling.keys;
    scores.element = params.element;
    for (int64_t step = 0; step != (shape.headSize + 15) / 16; ++step) {
      int64_t inPanel = step % 4 * 2, panel = step / 4;
      scores.steps.push_back({inPanel + panel * (warpgroupRows * rowBytes >> 4),
                              inPanel + panel * (tiling.keys * rowBytes >> 4),
                              0});
    }
    weighted.columns = shape.headSize;
    weighted.element = params.element;
    weighted.transposeB = true;
    for (int64_t step = 0; step != tiling.keys / 16; ++step)
      weighted.steps.push_back({0, step * (16 * rowBytes >> 4), 0});
  }

  void build();

private:
  // Shared memory and barriers.
  Int shared(int64_t offset) { return base + offset; }
  Int barrier(int64_t offset, Int index) {
    return base + offset + (index << 3);
  }
  void initBarriers();
  Stage stageOf(Int step);
  void arriveOnce(Int barrier); ///< one arrival for the warp

  // The producer.
  void hand();
  void copy();
  Int word(int64_t index);

  // The consumers.
  void consume();
  void compute(Tile tile, Int skippedTiles, Int allTiles, Int maskedTiles,
               Int unmaskedTiles, Int queryStage);
  void skip(Int from, Int to);
  Values attend(const Tile &tile, Int maskedTiles, Int unmaskedTiles);
  SmallVector<Float> mask(const Tile &tile, Int tileOfKeys,
                          ArrayRef<Float> scores);
  struct Exponentials {
    SmallVector<Float> values;
    RowState state;
    std::array<Float, 2> rescale; ///< of what was summed before
  };
  Exponentials exponentials(ArrayRef<Float> scores, const RowState *before,
                            bool masked);
  Values pack(ArrayRef<Float> values);
  void finish(const Tile &tile, ValueRange attended, Int queryStage);
  Values merge(const Tile &tile, ArrayRef<Float> values,
               std::array<Float, 2> inverse, std::array<Float, 2> natural);
  void stage(Int panel, int64_t index, ArrayRef<Float> values);

  DeviceBuilder &k;
  const AttentionParams &params;
  const Shape &shape;
  const Tiling &tiling;
  Value mapQ, mapK, mapV, mapO;
  Global first, last, output, lse, counter;
  Int rows, keyRows, continues;
  Products scores, weighted;
  ScoreUnits units;

  Int base, warp, lane;
  Bool lane0;
  // Of a consumer.
  Int warpgroup, warpOfGroup, turn, nextTurn;
  Int column;      ///< this thread's first one of every 8
  Int queriesBase; ///< of the warpgroup, in the first stage
  Long queriesAt, keysAt, valuesAt;
};

} // namespace

static SmallVector<Float> floats(DeviceBuilder &k, ValueRange values) {
  return llvm::map_to_vector(values, [&](Value v) { return k.asFloat(v); });
}

/// Combines in four independent chains.
static Float reduce(ArrayRef<Float> values,
                    function_ref<Float(Float, Float)> combine) {
  SmallVector<Float> chains(values.take_front(4));
  for (auto [i, value] : llvm::enumerate(values.drop_front(chains.size())))
    chains[i % 4] = combine(chains[i % 4], value);
  while (chains.size() > 1) {
    SmallVector<Float> half;
    for (size_t i = 0; i + 1 < chains.size(); i += 2)
      half.push_back(combine(chains[i], chains[i + 1]));
    chains = half;
  }
  return chains.front();
}

//===----------------------------------------------------------------------===//
// The producer
//===----------------------------------------------------------------------===//

void PartialAttention::initBarriers() {
  int64_t warps = 4 * tiling.warpgroups;
  auto init = [&](int64_t offset, int64_t count, int64_t arrivals) {
    for (int64_t i = 0; i != count; ++i)
      initBarrier(k, shared(offset + 8 * i), arrivals);
  };
  init(shape.queriesFull, tiling.queryStages, 1);
  init(shape.queriesEmpty, tiling.queryStages, warps);
  init(shape.keysFull, tiling.stages, 1);
  init(shape.keysEmpty, tiling.stages, warps);
  init(shape.valuesFull, tiling.stages, 1);
  init(shape.valuesEmpty, tiling.stages, warps);
  init(shape.tileFull, 1, 1);
  // Every lane that reads the description arrives, and the copying thread.
  init(shape.tileEmpty, 1, 32 * warps + 1);
  fenceBarrierInit(k);
}

Stage PartialAttention::stageOf(Int step) {
  return {step & (tiling.stages - 1),
          (step >> llvm::Log2_64(static_cast<uint64_t>(tiling.stages))) & 1};
}

Int PartialAttention::word(int64_t index) {
  return k.asInt(k.loadShared(k.i32(), shared(shape.tile + 4 * index)));
}

/// One thread: takes tiles until there are none and describes them.
void PartialAttention::hand() {
  Int rowTiles = k.ceilDiv(rows, shape.rows);
  Int all = rowTiles * params.queryHeads;
  Int lastRow = rows - 1;
  // Within a group of heads the tiles with the most keys come first: those of
  // the last rows, unless all rows see equally many; then head by head.
  Int zero = k.integer(0);
  Bool even = k.loadInt(last, zero) - k.loadInt(first, zero) ==
              k.loadInt(last, lastRow) - k.loadInt(first, lastRow);
  int64_t heads = params.queryHeads / params.keyHeads;
  Int fit = k.integer(cacheBytes * heads / (4 * shape.headSize)) /
            k.max(keyRows, k.integer(1));
  Int group =
      k.select(even, k.integer(1),
               k.min(k.max(fit, k.integer(1)), k.integer(params.queryHeads)));

  k.loopWhile(
      {zero},
      [&](ValueRange carried) {
        Int round = k.asInt(carried[0]);
        waitBarrier(k, shared(shape.tileEmpty), (round & 1) ^ 1);
        // The counter is 0 again when the last block has asked in vain.
        Int taken = k.asInt(k.choose(
            round == 0, {k.i32()}, [&] { return Values{k.block()}; },
            [&] {
              Int before = k.atomicAdd(counter, k.integer(1));
              k.when(before == all - 1, [&] { k.store(zero, counter); });
              return Values{before + k.blocks()};
            })[0]);
        Bool some = taken < all;
        taken = k.min(taken, all - 1);

        Int inGroup = group * rowTiles;
        Int groupIndex = taken / inGroup;
        Int rest = taken - groupIndex * inGroup;
        Int groupHead = groupIndex * group;
        Int groupSize = k.min(group, k.integer(params.queryHeads) - groupHead);
        Int fromLast = rest / groupSize;
        Int row = (rowTiles - 1 - fromLast) * shape.rows;

        Int end = k.min(row + shape.rows, rows) - 1;
        Int from = k.loadInt(first, row), to = k.loadInt(last, end);
        Bool any = from < to;
        Int low = from / k.integer(tiling.keys);
        Int high = k.select(any, k.ceilDiv(to, tiling.keys), low);
        auto write = [&](int64_t index, Int value) {
          k.storeShared(value, shared(shape.tile + 4 * index));
        };
        write(valid, k.widen(some));
        write(tiles, high - low);
        write(top, high - 1);
        write(firstRow, row);
        write(head, groupHead + rest - fromLast * groupSize);
        for (int64_t w = 0; w != tiling.warpgroups; ++w) {
          Int own = row + w * warpgroupRows;
          Int ownFirst = k.min(own, lastRow);
          Int ownLast = k.min(own + (warpgroupRows - 1), lastRow);
          Int ownFrom = k.loadInt(first, ownFirst);
          Int ownTo = k.loadInt(last, ownLast);
          Bool sees = (ownFrom < ownTo) & (own < rows);
          Int ownLow = k.select(sees, ownFrom / tiling.keys, high);
          Int ownHigh = k.select(sees, k.ceilDiv(ownTo, tiling.keys), high);
          // Seen by all rows of the warpgroup: [fullLow, fullHigh).
          Int fullHigh = k.loadInt(last, ownFirst) / tiling.keys;
          Int fullLow = k.ceilDiv(k.loadInt(first, ownLast), tiling.keys);
          Int count = ownHigh - ownLow;
          Int maskedFirst = k.min(k.max(ownHigh - fullHigh, zero), count);
          int64_t at = ofWarpgroup + wordsEach * w;
          write(at + skipped, high - ownHigh);
          write(at + seen, count);
          write(at + masked, maskedFirst);
          write(at + unmaskedEnd,
                k.min(k.max(ownHigh - fullLow, maskedFirst), count));
        }
        arrive(k, shared(shape.tileFull));
        return some;
      },
      [&](ValueRange carried) { return Values{k.asInt(carried[0]) + 1}; });
}

/// One thread: copies what the tiles need, in the order in which it is needed.
void PartialAttention::copy() {
  auto copyTile = [&](Value map, int64_t place, int64_t full, int64_t empty,
                      Int step, Int keyHead, Int tileOfKeys) {
    Stage stage = stageOf(step);
    waitBarrier(k, barrier(empty, stage.index), stage.phase ^ 1);
    Int barrierFull = barrier(full, stage.index);
    arriveExpecting(k, barrierFull, shape.tileBytes);
    Int destination = shared(place) + stage.index * shape.tileBytes;
    for (int64_t panel = 0; panel != shape.panels; ++panel)
      copyIn(
          k, destination + panel * tiling.keys * rowBytes, map, barrierFull,
          {k.integer(panelColumns * panel), keyHead, tileOfKeys * tiling.keys});
  };
  auto copyQueries = [&](Int round, Int row, Int head) {
    Int index = tiling.queryStages == 1 ? k.integer(0) : round & 1;
    Int phase = tiling.queryStages == 1 ? round & 1 : (round >> 1) & 1;
    waitBarrier(k, barrier(shape.queriesEmpty, index), phase ^ 1);
    Int full = barrier(shape.queriesFull, index);
    arriveExpecting(k, full, shape.queryBytes);
    Int destination = shared(shape.queries) + index * shape.queryBytes;
    constexpr int64_t panelBytes = warpgroupRows * rowBytes;
    for (int64_t w = 0; w != tiling.warpgroups; ++w)
      for (int64_t panel = 0; panel != shape.panels; ++panel)
        copyIn(
            k, destination + (w * shape.panels + panel) * panelBytes, mapQ,
            full,
            {k.integer(panelColumns * panel), head, row + w * warpgroupRows});
  };
  k.loopWhile(
      {k.integer(0), k.integer(0)},
      [&](ValueRange carried) {
        waitBarrier(k, shared(shape.tileFull), k.asInt(carried[0]) & 1);
        return word(valid) != 0;
      },
      [&](ValueRange carried) {
        Int round = k.asInt(carried[0]), step = k.asInt(carried[1]);
        Int count = word(tiles), topTile = word(top), row = word(firstRow);
        Int queryHead = word(head);
        arrive(k, shared(shape.tileEmpty));
        Int keyHead = queryHead / (params.queryHeads / params.keyHeads);
        auto copyKeys = [&](Int i) {
          copyTile(mapK, shape.keys, shape.keysFull, shape.keysEmpty, step + i,
                   keyHead, topTile - i);
        };
        auto copyValues = [&](Int i) {
          copyTile(mapV, shape.values, shape.valuesFull, shape.valuesEmpty,
                   step + i, keyHead, topTile - i);
        };
        Int zero = k.integer(0), one = k.integer(1);
        k.when(count > 0, [&] { copyKeys(zero); });
        copyQueries(round, row, queryHead);
        k.loop(one, count, one, [&](Int i) {
          copyKeys(i);
          copyValues(i - 1);
        });
        k.when(count > 0, [&] { copyValues(count - 1); });
        return Values{round + 1, step + count};
      });
}

//===----------------------------------------------------------------------===//
// The consumers
//===----------------------------------------------------------------------===//

void PartialAttention::arriveOnce(Int barrier) {
  k.when(lane0, [&] { arrive(k, barrier); });
}

SmallVector<Float> PartialAttention::mask(const Tile &tile, Int tileOfKeys,
                                          ArrayRef<Float> scores) {
  // This thread has the columns `column` + 8 j + {0, 1} of a row: bit 2 j + e
  // of a word for every 128 columns says that it is seen.
  Int start = tileOfKeys * tiling.keys + column;
  auto below = [&](Int limit, int64_t word) {
    Int relative = limit - start - 128 * word;
    relative = k.min(k.max(relative, k.integer(0)), k.integer(128));
    Int count = ((relative >> 3) << 1) + k.min(relative & 7, k.integer(2));
    return k.select(count == 32, k.integer(-1), (k.integer(1) << count) - 1);
  };
  Float nothing = k.constant(-INFINITY);
  SmallVector<Float> out(scores);
  for (int64_t word = 0; word * 128 < tiling.keys; ++word)
    for (int64_t r = 0; r != 2; ++r) {
      Int seen = below(tile.last[r], word) & (below(tile.first[r], word) ^ -1);
      int64_t bits = std::min<int64_t>(tiling.keys / 4 - 32 * word, 32);
      for (int64_t bit = 0; bit != bits; ++bit) {
        int64_t element = 32 * word + bit;
        Float &score =
            out[static_cast<size_t>(4 * (element / 2) + 2 * r + element % 2)];
        score = k.selectByBit(seen, bit, score, nothing);
      }
    }
  return out;
}

PartialAttention::Exponentials
PartialAttention::exponentials(ArrayRef<Float> scores, const RowState *before,
                               bool masked) {
  Exponentials out;
  out.values.assign(scores.begin(), scores.end());
  auto ofRow = [&](int64_t r) {
    SmallVector<Float> row;
    for (size_t j = 0; j != out.values.size() / 4; ++j)
      for (size_t e = 0; e != 2; ++e)
        row.push_back(out.values[4 * j + 2 * static_cast<size_t>(r) + e]);
    return row;
  };
  auto greater = [&](Float a, Float b) { return k.max(a, b); };
  for (int64_t r = 0; r != 2; ++r) {
    Float most = reduce(ofRow(r), greater);
    most = k.max(most, k.shuffleXor(most, 1));
    most = k.max(most, k.shuffleXor(most, 2));
    out.state.most[r] = before ? k.max(most, before->most[r]) : most;
  }
  Float factor = k.constant(units.base2);
  for (int64_t r = 0; r != 2; ++r) {
    Float most = out.state.most[r] * factor;
    if (masked) // a row that has seen nothing: exp(-inf - 0) and not NaN
      most = k.select(out.state.most[r] == k.constant(-INFINITY), k.constant(0),
                      most);
    Float shift = -most;
    if (before)
      out.rescale[r] = k.exp2(k.fma(before->most[r], factor, shift));
    for (size_t j = 0; j != out.values.size() / 4; ++j)
      for (size_t e = 0; e != 2; ++e) {
        Float &value = out.values[4 * j + 2 * static_cast<size_t>(r) + e];
        value = k.exp2(k.fma(value, factor, shift));
      }
    Float sum = reduce(ofRow(r), [](Float a, Float b) { return a + b; });
    out.state.sum[r] =
        before ? k.fma(before->sum[r], out.rescale[r], sum) : sum;
  }
  return out;
}

Values PartialAttention::pack(ArrayRef<Float> values) {
  Values packed;
  for (size_t i = 0; i != values.size(); i += 2)
    packed.push_back(k.pack(values[i], values[i + 1], params.element));
  return packed;
}

/// Takes part in the turns of the tensor cores without using them.
void PartialAttention::skip(Int from, Int to) {
  k.loop(from, to, k.integer(1), [&](Int step) {
    Stage stage = stageOf(step);
    waitBarrier(k, barrier(shape.keysFull, stage.index), stage.phase);
    k.syncNamed(turn, 2 * warpgroupThreads);
    k.arriveNamed(nextTurn, 2 * warpgroupThreads);
    arriveOnce(barrier(shape.keysEmpty, stage.index));
    waitBarrier(k, barrier(shape.valuesFull, stage.index), stage.phase);
    arriveOnce(barrier(shape.valuesEmpty, stage.index));
  });
}

/// O, the greatest scores and the sums of the tiles of keys that the warpgroup
/// sees, of which there is at least one.
Values PartialAttention::attend(const Tile &tile, Int maskedTiles,
                                Int unmaskedTiles) {
  auto waitKeys = [&](Int i) {
    Stage stage = stageOf(tile.steps + i);
    waitBarrier(k, barrier(shape.keysFull, stage.index), stage.phase);
    return stage.index;
  };
  auto waitValues = [&](Int i) {
    Stage stage = stageOf(tile.steps + i);
    waitBarrier(k, barrier(shape.valuesFull, stage.index), stage.phase);
    return stage.index;
  };
  auto at = [&](Long start, Int stage) {
    return advance(start, stage * shape.tileBytes);
  };
  auto scoresOf = [&](ValueRange products) {
    return llvm::map_to_vector(products, [&](Value product) {
      return scoreOf(k, params, k.asFloat(product));
    });
  };
  Int zero = k.integer(0), one = k.integer(1);

  Int stage = waitKeys(zero);
  k.syncNamed(turn, 2 * warpgroupThreads);
  Values inFlight = multiply(k, scores, tile.queriesAt, at(keysAt, stage));
  k.arriveNamed(nextTurn, 2 * warpgroupThreads);
  SmallVector<Float> score = scoresOf(waitProducts(k, 0, inFlight));
  arriveOnce(barrier(shape.keysEmpty, stage));
  Exponentials start = exponentials(mask(tile, tile.top, score), nullptr,
                                    /*masked=*/true);

  size_t outputs = static_cast<size_t>(shape.headSize / 2);
  size_t fragments = static_cast<size_t>(tiling.keys / 4);
  Values state(outputs, k.constant(0));
  llvm::append_range(state, pack(start.values));
  llvm::append_range(state, start.state.most);
  llvm::append_range(state, start.state.sum);

  auto body = [&](bool masked) {
    return [&, masked](Int i, ValueRange carried) {
      ValueRange sums = carried.take_front(outputs);
      ValueRange weights = carried.slice(outputs, fragments);
      ValueRange rest = carried.drop_front(outputs + fragments);
      RowState before{{k.asFloat(rest[0]), k.asFloat(rest[1])},
                      {k.asFloat(rest[2]), k.asFloat(rest[3])}};
      Int keyStage = waitKeys(i);
      k.syncNamed(turn, 2 * warpgroupThreads);
      Values inFlight =
          multiply(k, scores, tile.queriesAt, at(keysAt, keyStage));
      Int valueStage = waitValues(i - 1);
      Values output = multiplyRegisters(k, weighted, weights,
                                        at(valuesAt, valueStage), sums);
      k.arriveNamed(nextTurn, 2 * warpgroupThreads);
      SmallVector<Float> score = scoresOf(waitProducts(k, 1, inFlight));
      if (masked)
        score = mask(tile, tile.top - i, score);
      Exponentials next = exponentials(score, &before, masked);
      // The assembler would move the wait below above the exponentials: that
      // the keys are given back depends on them keeps it behind them. (True for
      // NaN, so that the producer never waits for ever.)
      k.when(lane0 & notLess(next.state.sum[0], k.constant(0)),
             [&] { arrive(k, barrier(shape.keysEmpty, keyStage)); });
      output = waitProducts(k, 0, output, weights);
      arriveOnce(barrier(shape.valuesEmpty, valueStage));
      Values packed = pack(next.values);
      for (auto [index, value] : llvm::enumerate(output))
        value = k.asFloat(value) * next.rescale[index / 2 % 2];
      llvm::append_range(output, packed);
      llvm::append_range(output, next.state.most);
      llvm::append_range(output, next.state.sum);
      return output;
    };
  };
  state = k.loop(one, maskedTiles, one, state, body(true));
  state =
      k.loop(k.max(maskedTiles, one), unmaskedTiles, one, state, body(false));
  state = k.loop(k.max(unmaskedTiles, one), tile.seen, one, state, body(true));

  Int valueStage = waitValues(tile.seen - 1);
  ValueRange carried = state;
  ValueRange weights = carried.slice(outputs, fragments);
  Values output =
      multiplyRegisters(k, weighted, weights, at(valuesAt, valueStage),
                        carried.take_front(outputs));
  output = waitProducts(k, 0, output, weights);
  arriveOnce(barrier(shape.valuesEmpty, valueStage));
  llvm::append_range(output, carried.drop_front(outputs + fragments));
  return output;
}

/// The partial (values * inverse, natural), merged with the one in the output.
Values PartialAttention::merge(const Tile &tile, ArrayRef<Float> values,
                               std::array<Float, 2> inverse,
                               std::array<Float, 2> natural) {
  Values out(values.begin(), values.end());
  SmallVector<Value> merged;
  for (int64_t r = 0; r != 2; ++r) {
    Int row = tile.row + warpOfGroup * 16 + (lane >> 2) + 8 * r;
    Int index = k.min(row, rows - 1) * params.queryHeads + tile.head;
    Continuation weights = continuePartial(
        k, k.loadFloat(lse, index, /*constant=*/false), natural[r], inverse[r]);
    merged.push_back(weights.lse);
    Long start = k.widen(index) * shape.headSize + k.widen(column);
    for (int64_t j = 0; j != shape.headSize / 8; ++j) {
      auto earlier = loadElements(k, output, start + 8 * j, params.result, 2,
                                  /*constant=*/false);
      for (size_t e = 0; e != 2; ++e) {
        size_t at = static_cast<size_t>(4 * j + 2 * r) + e;
        out[at] =
            k.fma(earlier[e], weights.earlier, values[at] * weights.added);
      }
    }
  }
  llvm::append_range(out, merged);
  return out;
}

/// Writes panel `index` of this warp's results to shared memory, swizzled as
/// copies out expect it.
void PartialAttention::stage(Int panel, int64_t index, ArrayRef<Float> values) {
  int64_t from = index * shape.resultColumns;
  int64_t to = std::min(from + shape.resultColumns, shape.headSize);
  if (params.result.isF32()) {
    // Rows lane / 4 and + 8, two columns at a time.
    Int row = panel + (lane >> 2) * rowBytes + ((lane & 1) << 3);
    for (int64_t j = from / 8; j != to / 8; ++j)
      for (int64_t r = 0; r != 2; ++r) {
        Int chunk = ((lane & 3) >> 1) + 2 * (j % 4);
        Int address = row + ((chunk ^ (lane >> 2)) << 4) + 8 * rowBytes * r;
        auto at = static_cast<size_t>(4 * j + 2 * r);
        k.storeShared(k.combine({values[at], values[at + 1]}), address);
      }
    return;
  }
  // Matrices: rows 0-7, rows 8-15 of 8 columns, then of the next 8.
  Int matrix = lane >> 3, inMatrix = lane & 7;
  Int row = panel + (((matrix & 1) << 3) + inMatrix) * rowBytes;
  for (int64_t j = from / 8; j < to / 8; j += 2) {
    SmallVector<Int> registers;
    for (int64_t at = 4 * j; at != 4 * std::min(j + 2, to / 8); at += 2)
      registers.push_back(k.pack(values[static_cast<size_t>(at)],
                                 values[static_cast<size_t>(at + 1)],
                                 params.result));
    Int chunk = ((matrix >> 1) + j % 8) ^ inMatrix;
    storeMatrices(k, row + (chunk << 4), registers);
  }
}

/// Normalises the sums, merges them with an earlier partial and writes both
/// outputs.
void PartialAttention::finish(const Tile &tile, ValueRange attended,
                              Int queryStage) {
  Float nothing = k.constant(-INFINITY), zero = k.constant(0);
  size_t outputs = static_cast<size_t>(shape.headSize / 2);
  SmallVector<Float> values = floats(k, attended.take_front(outputs));
  SmallVector<Float> rest = floats(k, attended.drop_front(outputs));
  std::array<Float, 2> inverse, natural;
  for (int64_t r = 0; r != 2; ++r) {
    Float most = rest[static_cast<size_t>(r)];
    Float sum = rest[static_cast<size_t>(2 + r)];
    sum = sum + k.shuffleXor(sum, 1);
    sum = sum + k.shuffleXor(sum, 2);
    Bool none = sum == zero;
    inverse[r] = k.select(none, zero, k.reciprocal(sum));
    natural[r] =
        k.select(none, nothing,
                 k.fma(most, k.constant(units.natural), k.log2(sum) * ln2));
  }
  Values result = k.choose(
      continues != 0, SmallVector<Type>(outputs + 2, k.f32()),
      [&] { return merge(tile, values, inverse, natural); },
      [&] {
        Values scaled;
        for (auto [i, value] : llvm::enumerate(values))
          scaled.push_back(value * inverse[i / 2 % 2]);
        llvm::append_range(scaled, natural);
        return scaled;
      });
  values = floats(k, result);

  for (int64_t r = 0; r != 2; ++r) {
    Int row = tile.row + warpOfGroup * 16 + (lane >> 2) + 8 * r;
    k.when(((lane & 3) == 0) & (row < rows), [&] {
      Int index = row * params.queryHeads + tile.head;
      k.store(values[outputs + static_cast<size_t>(r)],
              k.at(lse, k.widen(index), k.f32()));
    });
  }

  // Each warp copies its own 16 rows out.
  constexpr int64_t panelBytes = warpgroupRows * rowBytes;
  Int ofWarp = warpOfGroup * (16 * rowBytes);
  auto place = [&](int64_t slot) {
    return slot < shape.panels
               ? tile.queries + ofWarp + slot * panelBytes
               : shared(shape.results) + ofWarp +
                     warpgroup * (shape.extraPanels * panelBytes) +
                     (slot - shape.panels) * panelBytes;
  };
  int64_t slots = shape.panels + shape.extraPanels;
  for (int64_t from = 0; from < shape.resultPanels; from += slots) {
    int64_t to = std::min(from + slots, shape.resultPanels);
    if (from) // the slots are free when the copies have read them
      k.syncWarp();
    for (int64_t panel = from; panel != to; ++panel)
      stage(place(panel - from), panel, values);
    fenceCopies(k);
    k.syncWarp();
    k.when(lane0, [&] {
      for (int64_t panel = from; panel != to; ++panel)
        copyOut(k, mapO, place(panel - from),
                {k.integer(panel * shape.resultColumns), tile.head,
                 tile.row + warpOfGroup * 16});
      commitCopies(k);
      waitCopiesRead(k, 0);
    });
  }
  arriveOnce(barrier(shape.queriesEmpty, queryStage));
}

void PartialAttention::compute(Tile tile, Int skippedTiles, Int allTiles,
                               Int maskedTiles, Int unmaskedTiles,
                               Int queryStage) {
  Int begin = tile.steps;
  skip(begin, begin + skippedTiles);
  tile.steps = begin + skippedTiles;
  tile.top = tile.top - skippedTiles;
  size_t outputs = static_cast<size_t>(shape.headSize / 2);
  Values attended = k.choose(
      tile.seen > 0, SmallVector<Type>(outputs + 4, k.f32()),
      [&] { return attend(tile, maskedTiles, unmaskedTiles); },
      [&] {
        Values none(outputs + 4, k.constant(0));
        none[outputs] = none[outputs + 1] = k.constant(-INFINITY);
        return none;
      });
  skip(tile.steps + tile.seen, begin + allTiles);
  finish(tile, attended, queryStage);
}

void PartialAttention::consume() {
  warpgroup = (warp >> 2) - 1;
  warpOfGroup = warp & 3;
  column = (lane & 3) << 1;
  queriesBase = shared(shape.queries) +
                warpgroup * (shape.queryBytes / tiling.warpgroups);
  queriesAt = describeOperand(k, queriesBase);
  keysAt = describeOperand(k, shared(shape.keys));
  valuesAt = describeOperand(k, shared(shape.values), tiling.keys * rowBytes);
  turn = warpgroup + 1;
  nextTurn =
      k.select(warpgroup == tiling.warpgroups - 1, k.integer(1), warpgroup + 2);
  k.when(warpgroup == 0, [&] { k.arriveNamed(turn, 2 * warpgroupThreads); });
  k.loopWhile(
      {k.integer(0), k.integer(0)},
      [&](ValueRange carried) {
        waitBarrier(k, shared(shape.tileFull), k.asInt(carried[0]) & 1);
        return word(valid) != 0;
      },
      [&](ValueRange carried) {
        Int round = k.asInt(carried[0]), step = k.asInt(carried[1]);
        Tile tile;
        // Uniform numbers keep descriptors in uniform registers.
        Int count = k.uniform(word(tiles));
        tile.top = word(top);
        tile.row = word(firstRow) + warpgroup * warpgroupRows;
        tile.head = word(head);
        Int own =
            shared(shape.tile + 4 * ofWarpgroup) + warpgroup * (4 * wordsEach);
        auto ownWord = [&](int64_t index) {
          return k.uniform(k.asInt(k.loadShared(k.i32(), own + 4 * index)));
        };
        Int skippedTiles = ownWord(skipped), maskedTiles = ownWord(masked);
        Int unmaskedTiles = ownWord(unmaskedEnd);
        tile.seen = ownWord(seen);
        arrive(k, shared(shape.tileEmpty));

        Int index = tiling.queryStages == 1 ? k.integer(0) : round & 1;
        Int phase = tiling.queryStages == 1 ? round & 1 : (round >> 1) & 1;
        Int stage = index * shape.queryBytes;
        tile.queries = queriesBase + stage;
        tile.queriesAt = advance(queriesAt, stage);
        tile.steps = step;
        for (int64_t r = 0; r != 2; ++r) {
          Int row = k.min(tile.row + warpOfGroup * 16 + (lane >> 2) + 8 * r,
                          rows - 1);
          tile.first[r] = k.loadInt(first, row);
          tile.last[r] = k.loadInt(last, row);
        }
        waitBarrier(k, barrier(shape.queriesFull, index), phase);
        compute(tile, skippedTiles, count, maskedTiles, unmaskedTiles, index);
        return Values{round + 1, step + count};
      });
  k.when(lane0, [&] { waitCopies(k, 0); });
}

void PartialAttention::build() {
  base = k.sharedMemory();
  warp = k.warp();
  lane = k.lane();
  lane0 = lane == 0;
  k.when(k.thread() == 0, [&] { initBarriers(); });
  k.syncBlock();
  k.when((warp >> 2) == 0,
         [&] {
           setRegisters(k, 24, /*increase=*/false);
           k.when((warp == 0) & k.elect(), [&] { copy(); });
           k.when((warp == 1) & k.elect(), [&] { hand(); });
         },
         [&] {
           setRegisters(k, tiling.warpgroups == 3 ? 160 : 240,
                        /*increase=*/true);
           consume();
         });
}

SymbolRefAttr KernelLibrary::partialAttention(const AttentionParams &params) {
  Shape shape(params);
  int64_t heads = params.queryHeads, columns = params.headSize;
  auto map = [&](int64_t argument, Type element, int64_t ofHeads,
                 ArrayRef<int64_t> box) -> Attribute {
    int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    return MapAttr::get(
        module.getContext(), argument, element,
        {size(columns), size(ofHeads), size(1, argument)},
        {size(columns * bytes), size(ofHeads * columns * bytes)}, box,
        /*swizzle=*/128);
  };
  Launch launch;
  launch.threads = shape.threads;
  launch.shared = shape.layout.getSize();
  launch.blocks = heads;
  launch.resident = 1;
  launch.grid = {blocksOf(0, shape.rows)};
  int64_t keys = shape.tiling.keys;
  launch.parameters = {
      map(0, params.element, heads, {panelColumns, 1, warpgroupRows}),
      map(1, params.element, params.keyHeads, {panelColumns, 1, keys}),
      map(2, params.element, params.keyHeads, {panelColumns, 1, keys}),
      map(5, params.result, heads, {shape.resultColumns, 1, 16}),
      pointer(3),
      pointer(4),
      pointer(5),
      pointer(6),
      pointer(8),
      rows(0),
      rows(1),
      scalar(9)};
  return define(attentionName("attention", params), launch,
                [&](DeviceBuilder &k, ValueRange in) {
                  PartialAttention(k, params, shape, in).build();
                });
}

} // namespace rshard::cuda
