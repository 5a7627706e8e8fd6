// Query rows up to the cells that show them a key (C2).

#include "RoutesState.h"

#include <numeric>

namespace rshard::tokenset {

void Routes::State::markShown(const Mask &mask) {
  int32_t n = rows();
  Position p = step.position, end = p + n;
  bool full = mask.kind == MaskKind::Full;
  // Before its window is full, a window is a causal mask.
  bool window = mask.kind == MaskKind::Window && mask.window < end;
  // A causal query sees a key of T_k if it is not before the first one.
  Position last = full ? end - 1 : p;
  allShown = !window && std::all_of(firstKey.begin(), firstKey.end(),
                                    [=](Position k) { return k <= last; });
  if (allShown)
    return;
  size_t width = topology.rowSlots;
  shown.assign(n * width, 0);
  // The nearest key of each column at or before the query (anywhere, if the
  // mask is full).
  nearest.resize(plan.keyShards());
  for (int32_t k = 0; k < plan.keyShards(); ++k)
    nearest[k] = full ? (firstKey[k] < end ? 0 : -1) : plan.T[k].previous(p);
  for (int32_t t = 0; t < n; ++t) {
    if (!full)
      nearest[columnOf[t]] = p + t;
    int32_t j = rowOf[t];
    if (topology.compRank[compOf[t]] != rank && rowSlotHere[j] < 0)
      continue;
    Position first = window ? mask.firstKey(p + t) : 0;
    const int32_t *slot = &topology.rowSlot[topology.cellOf(j, 0)];
    for (int32_t k = 0; k < plan.keyShards(); ++k)
      shown[t * width + slot[k]] |= nearest[k] >= first;
  }
}

void Routes::State::routeQueries(size_t c) {
  MaskTables &table = tables.masks[c];
  int32_t n = rows();
  markShown(masks[c]);

  sendQuery.reset(topology.rankCount);
  auto forEachSend = [&](auto &&fn) {
    for (size_t x = 0; x < ownRow.size(); ++x) {
      int32_t t = ownRow[x];
      auto ranks = topology.ranksOfRow[rowOf[t]];
      for (size_t slot = 0; slot < ranks.size(); ++slot)
        if (ranks[slot] != rank && isShown(t, slot))
          fn(static_cast<int32_t>(x), ranks[slot]);
    }
  };
  forEachSend([&](int32_t, int32_t b) { ++sendQuery.count[b]; });
  table.upQueryPack.resize(sendQuery.layOut(0));
  cursor.assign(sendQuery.begin.begin(), sendQuery.begin.end());
  forEachSend(
      [&](int32_t x, int32_t b) { table.upQueryPack[cursor[b]++] = x; });

  receiveQuery.reset(topology.rankCount);
  table.queryBegin.assign(gridRows.size() + 1, 0);
  table.querySource.clear();
  table.queryPosition.clear();
  if (gridRows.empty())
    return;
  poolRow.resize(n);
  int32_t next = static_cast<int32_t>(ownRow.size());
  for (int32_t a : topology.compRanks) {
    receiveQuery.begin[a] = next;
    for (int32_t i : topology.compsOfRank[a])
      for (int32_t at = compBegin[i]; at < compBegin[i + 1]; ++at) {
        int32_t t = byComp[at], slot = rowSlotHere[rowOf[t]];
        poolRow[t] = slot < 0 || !isShown(t, slot) ? -1
                     : a == rank                   ? tableRow[t]
                                                   : next++;
      }
    receiveQuery.count[a] = next - receiveQuery.begin[a];
  }

  // Group by grid row; positions stay ascending.
  for (int32_t t = 0; t < n; ++t)
    if (poolRow[t] >= 0)
      ++table.queryBegin[rowIndex[rowOf[t]] + 1];
  std::partial_sum(table.queryBegin.begin(), table.queryBegin.end(),
                   table.queryBegin.begin());
  cursor.assign(table.queryBegin.begin(), table.queryBegin.end() - 1);
  table.querySource.resize(table.queryBegin.back());
  table.queryPosition.resize(table.queryBegin.back());
  queryRow.resize(n);
  for (int32_t t = 0; t < n; ++t) {
    if (poolRow[t] < 0)
      continue;
    int32_t row = queryRow[t] = cursor[rowIndex[rowOf[t]]]++;
    table.querySource[row] = poolRow[t];
    table.queryPosition[row] = static_cast<int32_t>(step.position) + t;
  }
}

} // namespace rshard::tokenset
