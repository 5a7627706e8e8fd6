//===- PartialAttentionResults.cpp - how results leave --------------------===//

#include "PartialAttention.h"
#include "RowElements.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace mlir;

namespace rshard::cuda {

/// The partial (values * inverse, natural), merged with the one in the output.
Values PartialAttention::merge(const Tile &tile, ArrayRef<Float> values,
                               std::array<Float, 2> inverse,
                               std::array<Float, 2> natural) {
  Values out(values.begin(), values.end());
  SmallVector<Value> merged;
  for (int64_t r = 0; r != 2; ++r) {
    Int row = tile.row + warpOfGroup * 16 + (lane >> 2) + 8 * r;
    Int index = k.min(row, rows - 1) * params.queryHeads + tile.head;
    Continuation weights =
        continuePartial(k, k.loadFloat(lse, index), natural[r], inverse[r]);
    merged.push_back(weights.lse);
    Long start = k.widen(index) * shape.headSize + k.widen(column);
    for (int64_t j = 0; j != shape.headSize / 8; ++j) {
      auto earlier = loadElements(k, output, start + 8 * j, params.result, 2);
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
    Int row = panel + (lane >> 2) * Shape::rowBytes + ((lane & 1) << 3);
    for (int64_t j = from / 8; j != to / 8; ++j)
      for (int64_t r = 0; r != 2; ++r) {
        Int chunk = ((lane & 3) >> 1) + 2 * (j % 4);
        Int address =
            row + ((chunk ^ (lane >> 2)) << 4) + 8 * Shape::rowBytes * r;
        auto at = static_cast<size_t>(4 * j + 2 * r);
        k.storeShared(k.combine({values[at], values[at + 1]}), address);
      }
    return;
  }
  // Matrices: rows 0-7, rows 8-15 of 8 columns, then of the next 8.
  Int matrix = lane >> 3, inMatrix = lane & 7;
  Int row = panel + (((matrix & 1) << 3) + inMatrix) * Shape::rowBytes;
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
  SmallVector<Float> values = floats(attended.take_front(outputs));
  SmallVector<Float> rest = floats(attended.drop_front(outputs));
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
  values = floats(result);

  // Each warp copies its own 16 rows out.
  constexpr int64_t panelBytes = Shape::warpgroupRows * Shape::rowBytes;
  Int ofWarp = warpOfGroup * (16 * Shape::rowBytes);
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
  // All lanes have read the earlier one.
  for (int64_t r = 0; r != 2; ++r) {
    Int row = tile.row + warpOfGroup * 16 + (lane >> 2) + 8 * r;
    k.when(((lane & 3) == 0) & (row < rows), [&] {
      Int index = row * params.queryHeads + tile.head;
      k.store(values[outputs + static_cast<size_t>(r)],
              k.at(lse, k.widen(index), k.f32()));
    });
  }
}

} // namespace rshard::cuda
