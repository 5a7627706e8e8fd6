//===- RotatedEpilogue.cpp - queries and keys turned by their positions ---===//

#include "LinearEpilogue.h"
#include "llvm/ADT/STLExtras.h"
#include <array>

using namespace mlir;

namespace rshard::cuda {

void LinearEpilogue::findAngles(DeviceBuilder &k) {
  angleRows.clear();
  for (int64_t i = 0; i != 2 * shape.blocks; ++i) {
    Int position = k.loadInt(operands.positions, threadRow(k, i));
    angleRows.push_back(position * params.rotation->headSize);
  }
}

void LinearEpilogue::rotate(DeviceBuilder &k, int64_t panel,
                            MutableArrayRef<Value> accumulators) {
  int64_t half = params.rotation->headSize / 2, groups = shape.columns / 8;
  // Four of each group of 8 columns: of the first half, then of the second.
  auto sums = accumulators.slice(static_cast<size_t>(4 * groups * panel),
                                 static_cast<size_t>(8 * groups));
  Int from = panelColumn(panel);
  auto rotated = [&] {
    Values out(sums.begin(), sums.end());
    // Of a pair's place in its half: a cosine for each, then a sine for each.
    Int at = from % half + (k.lane() & 3) * 2;
    SmallVector<Global, 2> angles;
    for (int64_t i = 0; i != 2; ++i)
      angles.push_back(k.at(
          operands.angles,
          k.widen(angleRows[static_cast<size_t>(2 * (panel / perBlock()) + i)] +
                  at),
          k.f32()));
    // All of them first: they come from the L2 cache.
    SmallVector<std::array<Value, 2>> loaded;
    for (int64_t group = 0; group != groups; ++group)
      for (Global row : angles) {
        auto load = [&](int64_t offset) {
          return k.load(VectorType::get({2}, k.f32()),
                        k.at(row, k.longInteger(offset), k.f32()));
        };
        loaded.push_back({load(8 * group), load(half + 8 * group)});
      }
    // Two of each row of a group.
    size_t pairs = sums.size() / 2;
    for (size_t i = 0; i != pairs; ++i) {
      auto [cosines, sines] = loaded[i / 2];
      auto in = static_cast<int64_t>(i % 2);
      Float cosine = k.asFloat(k.extract(cosines, in)),
            sine = k.asFloat(k.extract(sines, in)), a = k.asFloat(sums[i]),
            b = k.asFloat(sums[pairs + i]);
      out[i] = k.fma(a, cosine, -(b * sine));
      out[pairs + i] = k.fma(b, cosine, a * sine);
    }
    return out;
  };
  Int columns = k.integer(params.rotation->heads * params.rotation->headSize);
  Values values =
      k.choose(from < columns, SmallVector<Type>(sums.size(), k.f32()), rotated,
               [&] { return Values(sums.begin(), sums.end()); });
  llvm::copy(values, sums.begin());
}

} // namespace rshard::cuda
