//===- PartialAttentionTiles.cpp - what the tiles need --------------------===//

#include "PartialAttention.h"

using namespace mlir;

namespace rshard::cuda {

/// Of the second-level cache: heads whose keys and values fit in it together
/// are worked on at the same time.
constexpr int64_t cacheBytes = int64_t(32) << 20;

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
          Int own = row + w * Shape::warpgroupRows;
          Int ownFirst = k.min(own, lastRow);
          Int ownLast = k.min(own + (Shape::warpgroupRows - 1), lastRow);
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
      copyIn(k, destination + panel * tiling.keys * Shape::rowBytes, map,
             barrierFull,
             {k.integer(Shape::panelColumns * panel), keyHead,
              tileOfKeys * tiling.keys});
  };
  auto copyQueries = [&](Int round, Int row, Int head) {
    Int index = tiling.queryStages == 1 ? k.integer(0) : round & 1;
    Int phase = tiling.queryStages == 1 ? round & 1 : (round >> 1) & 1;
    waitBarrier(k, barrier(shape.queriesEmpty, index), phase ^ 1);
    Int full = barrier(shape.queriesFull, index);
    arriveExpecting(k, full, shape.queryBytes);
    Int destination = shared(shape.queries) + index * shape.queryBytes;
    constexpr int64_t panelBytes = Shape::warpgroupRows * Shape::rowBytes;
    for (int64_t w = 0; w != tiling.warpgroups; ++w)
      for (int64_t panel = 0; panel != shape.panels; ++panel)
        copyIn(k, destination + (w * shape.panels + panel) * panelBytes, mapQ,
               full,
               {k.integer(Shape::panelColumns * panel), head,
                row + w * Shape::warpgroupRows});
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

} // namespace rshard::cuda
