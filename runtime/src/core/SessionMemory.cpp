// How much memory a session will take, before it takes any.

#include "SessionState.h"
#include "rshard/tokenset/RouteMemory.h"

#include <algorithm>
#include <bit>

namespace rshard::runtime {

/// The most rows of a rank's buffers.
Expected<RowCounts> Session::State::largestOf(int32_t rank) const {
  Expected<tokenset::RouteBounds> bounds =
      tokenset::routeBounds(plan, options.capacity, options.largestStep, rank);
  if (!bounds)
    return bounds.error();
  RankShape shape;
  shape.capacity = options.capacity;
  shape.allRows = options.allRows;
  shape.clientLayers = int64_t(plan.clientFirst) + plan.clientLast;
  shape.shardedLayers = manifest.model.layers - shape.clientLayers;
  shape.columns = tokenset::columnsOfRank(plan, rank);
  return largestRows(*bounds, shape);
}

/// What all ranks will take; takes nothing itself.
Expected<SessionMemory> Session::State::measure() const {
  SessionMemory memory;
  for (int32_t rank = 0; rank != plan.rankCount(); ++rank) {
    Expected<RowCounts> largest = largestOf(rank);
    if (!largest)
      return largest.error();
    Expected<RankArena> arena = RankArena::create(manifest, *largest);
    if (!arena)
      return arena.error();
    Expected<uint64_t> routes =
        tokenset::routeBytes(plan, manifest.model.masks.size(),
                             options.capacity, options.largestStep, rank);
    if (!routes)
      return routes.error();
    // In the host's memory an arena's own tables are written at once.
    uint64_t written = manifest.target.name == "cuda" ? 0 : arena->tableBytes();
    memory.tables += *routes + written;
    memory.buffers += arena->bytes() - written;
  }
  memory.tables += ClientTables::bytes(options.largestStep, options.capacity);
  return memory;
}

Expected<void> Session::State::fits(const Weights &weights, Device &device,
                                    MemoryUse use) const {
  Expected<SessionMemory> memory = measure();
  if (!memory)
    return memory.error();
  return device.fits(weights, manifest, *memory, use);
}

/// What there is memory for instead: nodes of one rank share buffers and
/// caches, and fewer positions need less.
std::string Session::State::whatFits(const Weights &weights) const {
  State probe;
  probe.manifest = manifest;
  probe.options.allRows = options.allRows;
  auto fits = [&](const Plan &other, int64_t capacity) {
    probe.plan = other;
    probe.options.capacity = capacity;
    probe.options.largestStep = std::min(options.largestStep, capacity);
    return bool(probe.fits(weights, *device, MemoryUse::Whole));
  };
  Plan together = plan;
  if (plan.rankCount() > 1 && tokenset::place(together, 1) &&
      fits(together, options.capacity))
    return "; all nodes on one rank (--ranks 1) fit";
  int64_t positions = 0;
  for (auto step =
           static_cast<int64_t>(std::bit_floor(uint64_t(options.capacity)));
       step != 0; step /= 2)
    if (positions + step < options.capacity && fits(plan, positions + step))
      positions += step;
  return positions ? "; " + std::to_string(positions) + " of " +
                         std::to_string(options.capacity) + " positions fit"
                   : "";
}

} // namespace rshard::runtime
