#include "rshard/tokenset/RouteMemory.h"
#include "RoutesState.h"

namespace rshard::tokenset {

int64_t columnsOfRank(const Plan &plan, int32_t rank) {
  int64_t columns = 0;
  for (int32_t k = 0; k < plan.keyShards(); ++k)
    for (int32_t j = 0; j < plan.queryShards(); ++j)
      if (plan.ranks[plan.attnNode(j, k)] == rank) {
        ++columns;
        break;
      }
  return columns;
}

/// What the constructor of Routes::State and Routes::want reserve.
Expected<uint64_t> routeBytes(const Plan &plan, size_t masks, int64_t capacity,
                              int64_t largestStep, int32_t rank) {
  Expected<RouteBounds> bounds = routeBounds(plan, capacity, largestStep, rank);
  if (!bounds)
    return bounds.error();
  const RouteBounds &b = *bounds;
  Topology topology(plan);
  int64_t rowSlots = static_cast<int64_t>(topology.rowSlots),
          columnSlots = static_cast<int64_t>(topology.columnSlots);
  int64_t shared =
      7 * b.step + 3 * b.client + (5 + rowSlots) * b.comp + b.sendEnter;
  int64_t mask = b.sendQuery + b.sendKey + 3 * b.query + 2 * b.append + b.comp +
                 b.merge + 2 * b.reach + 2 * b.client +
                 columnsOfRank(plan, rank) * b.cache;
  return sizeof(IndexList::value_type) * (static_cast<uint64_t>(shared) +
                                          masks * static_cast<uint64_t>(mask)) +
         static_cast<uint64_t>(b.step * (rowSlots + columnSlots));
}

} // namespace rshard::tokenset
