//===- LinearSchedule.cpp - how a matrix product runs on Hopper -----------===//

#include "rshard/Target/CUDA/LinearSchedule.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace rshard::cuda {

using Kind = LinearSchedule::Kind;

// A band and a strip of tiles are about what the multiprocessors work on at
// once, nearly square in elements.
static constexpr std::array<LinearSchedule, 7> schedules{{
    {"small8", Kind::Small, 8},
    {"small16", Kind::Small, 16},
    {"s64", Kind::Split, 64, 128, 4},
    {"s128", Kind::Split, 128, 128, 3},
    {"s256", Kind::Split, 256, 128, 4},
    {"p128", Kind::PingPong, 128, 128, 6, 4096, 8, 16},
    {"p192", Kind::PingPong, 128, 192, 5, 2048, 8, 16},
}};

llvm::ArrayRef<LinearSchedule> linearSchedules() { return schedules; }

const LinearSchedule *findLinearSchedule(llvm::StringRef name) {
  const auto *found = llvm::find_if(
      schedules, [&](const LinearSchedule &one) { return one.name == name; });
  return found == schedules.end() ? nullptr : found;
}

// Fitted to the shapes of a Llama-8B layer and 8192^3 on an H200.
/// What tiles of 128 columns cost for reading more.
static constexpr double smallTile = 1.015;
/// A change of schedule from one number of rows to the next must gain this:
/// relative time, integrated over the logarithm (base 2) of the rows.
static constexpr double worthAChange = 0.002;
/// Beyond this many rows only the ratio of the schedules' costs matters.
static constexpr int64_t mostRows = 32768;

static double real(int64_t value) { return static_cast<double>(value); }
static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

double linearCost(const LinearSchedule &schedule, int64_t rows, int64_t columns,
                  int64_t inputs, const DeviceShape &device) {
  int64_t tiles =
      ceilDiv(rows, schedule.tileRows) * ceilDiv(columns, schedule.tileColumns);
  double waves = real(ceilDiv(tiles, device.multiprocessors));
  return waves * real(schedule.tileRows) * real(schedule.tileColumns) *
         real(inputs) * (schedule.tileColumns > 128 ? 1.0 : smallTile);
}

llvm::SmallVector<LinearChoice>
chooseLinearSchedules(int64_t columns, int64_t inputs,
                      const DeviceShape &device) {
  llvm::SmallVector<LinearChoice> choices;
  llvm::SmallVector<const LinearSchedule *> pipelined;
  constexpr int64_t step = 128; // rows of every pipelined tile
  // Whether its tiles fill less than half of the device.
  auto fillsLittle = [&](int64_t rows) {
    int64_t tiles = ceilDiv(rows, step) * ceilDiv(columns, 128);
    return 2 * tiles <= device.multiprocessors;
  };
  for (const LinearSchedule &one : schedules) {
    if (one.isForManyRows())
      pipelined.push_back(&one);
    else if (one.kind == Kind::Small || one.tileRows <= 64 ||
             fillsLittle(one.tileRows))
      choices.push_back({one.tileRows, &one});
  }
  size_t count = pipelined.size();
  const int64_t firstTile = choices.back().rows / step + 1;
  // The cheapest sequence of schedules over all numbers of rows, by dynamic
  // programming: total[s] is the cost so far of one that ends in s, and
  // before[i][s] the schedule before it.
  llvm::SmallVector<double> total(count, 0.0);
  std::vector<llvm::SmallVector<size_t>> before;
  auto cheapest = [](llvm::ArrayRef<double> costs) {
    return static_cast<size_t>(llvm::min_element(costs) - costs.begin());
  };
  for (int64_t tile = firstTile; tile <= mostRows / step; ++tile) {
    llvm::SmallVector<double> costs;
    for (const LinearSchedule *one : pipelined)
      costs.push_back(linearCost(*one, tile * step, columns, inputs, device));
    double best = *llvm::min_element(costs);
    double weight = std::log2(real(tile + 1) / real(tile));
    size_t from = cheapest(total);
    double changed = total[from] + (tile == firstTile ? 0 : worthAChange);
    before.emplace_back();
    for (size_t s = 0; s != count; ++s) {
      before.back().push_back(changed < total[s] ? from : s);
      total[s] = std::min(changed, total[s]) + weight * (costs[s] / best - 1);
    }
  }
  llvm::SmallVector<LinearChoice> reversed;
  size_t current = cheapest(total);
  for (int64_t tile = mostRows / step; tile >= firstTile; --tile) {
    if (reversed.empty() || reversed.back().schedule != pipelined[current])
      reversed.push_back({tile * step, pipelined[current]});
    current = before[static_cast<size_t>(tile - firstTile)][current];
  }
  reversed.front().rows = std::numeric_limits<int64_t>::max();
  choices.append(reversed.rbegin(), reversed.rend());
  return choices;
}

} // namespace rshard::cuda
