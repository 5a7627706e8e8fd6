// Key and value rows up to the cells that will show them to a query (C2), and
// into their caches (C5).

#include "RoutesState.h"

#include <numeric>

namespace rshard::tokenset {

void Routes::State::markNeeded(const Mask &mask) {
  int32_t n = rows();
  Position p = step.position, end = p + n;
  bool full = mask.kind == MaskKind::Full;
  bool window = mask.kind == MaskKind::Window;
  // A full mask has no later step: its queries are those of this one. A key is
  // needed causally if S_j has a query at or after it within the capacity.
  allNeeded = true;
  for (int32_t j = 0; j < plan.queryShards() && allNeeded; ++j)
    allNeeded = full     ? plan.S[j].next(0) < end
                : window ? false
                         : lastQuery[j] >= end - 1;
  if (allNeeded)
    return;
  size_t width = topology.columnSlots;
  needed.assign(n * width, 0);
  // The nearest query of each grid row at or after the key.
  nearest.resize(plan.queryShards());
  for (int32_t j = 0; j < plan.queryShards(); ++j)
    nearest[j] = plan.S[j].next(full ? 0 : end);
  for (int32_t t = n - 1; t >= 0; --t) {
    if (!full)
      nearest[rowOf[t]] = p + t;
    int32_t k = columnOf[t];
    if (topology.compRank[compOf[t]] != rank && columnSlotHere[k] < 0)
      continue;
    Position stop = full ? end : mask.endOfQueries(p + t, capacity);
    for (int32_t j = 0; j < plan.queryShards(); ++j)
      needed[t * width + topology.columnSlot[topology.cellOf(j, k)]] |=
          nearest[j] < stop;
  }
}

void Routes::State::routeKeys(size_t c) {
  MaskTables &table = tables.masks[c];
  int32_t n = rows();
  markNeeded(masks[c]);

  sendKey.reset(topology.rankCount);
  auto forEachSend = [&](auto &&fn) {
    for (size_t x = 0; x < ownRow.size(); ++x) {
      int32_t t = ownRow[x];
      auto ranks = topology.ranksOfColumn[columnOf[t]];
      for (size_t slot = 0; slot < ranks.size(); ++slot)
        if (ranks[slot] != rank && isNeeded(t, slot))
          fn(static_cast<int32_t>(x), ranks[slot]);
    }
  };
  forEachSend([&](int32_t, int32_t b) { ++sendKey.count[b]; });
  table.upKeyPack.resize(sendKey.layOut(0));
  cursor.assign(sendKey.begin.begin(), sendKey.begin.end());
  forEachSend([&](int32_t x, int32_t b) { table.upKeyPack[cursor[b]++] = x; });

  receiveKey.reset(topology.rankCount);
  table.appendBegin.assign(gridColumns.size() + 1, 0);
  table.appendSource.clear();
  table.appendRow.clear();
  if (gridColumns.empty())
    return;
  poolRow.resize(n);
  int32_t next = static_cast<int32_t>(ownRow.size());
  for (int32_t a : topology.compRanks) {
    receiveKey.begin[a] = next;
    for (int32_t i : topology.compsOfRank[a])
      for (int32_t at = compBegin[i]; at < compBegin[i + 1]; ++at) {
        int32_t t = byComp[at], slot = columnSlotHere[columnOf[t]];
        poolRow[t] = slot < 0 || !isNeeded(t, slot) ? -1
                     : a == rank                    ? tableRow[t]
                                                    : next++;
      }
    receiveKey.count[a] = next - receiveKey.begin[a];
  }

  for (int32_t t = 0; t < n; ++t)
    if (poolRow[t] >= 0)
      ++table.appendBegin[columnIndex[columnOf[t]] + 1];
  std::partial_sum(table.appendBegin.begin(), table.appendBegin.end(),
                   table.appendBegin.begin());
  cursor.assign(table.appendBegin.begin(), table.appendBegin.end() - 1);
  table.appendSource.resize(table.appendBegin.back());
  table.appendRow.resize(table.appendBegin.back());
  for (int32_t t = 0; t < n; ++t) {
    if (poolRow[t] < 0)
      continue;
    int32_t k = columnIndex[columnOf[t]], at = cursor[k]++;
    table.appendSource[at] = poolRow[t];
    int32_t row = table.appendRow[at] = table.cacheLength[k]++;
    table.cachePosition[k * bounds.cache + row] =
        static_cast<int32_t>(step.position) + t;
  }
}

void Routes::State::emitUp(size_t c) {
  IndexList &table = tables.masks[c].upTransfer;
  table.clear();
  auto emit = [&](bool isSend, int32_t peer, const PeerRows &queries,
                  const PeerRows &keys) {
    if (queries.count[peer] > 0)
      addTransfer(table, 0, isSend, peer, queries.begin[peer],
                  queries.count[peer]);
    if (keys.count[peer] > 0)
      for (int32_t tensor : {1, 2})
        addTransfer(table, tensor, isSend, peer, keys.begin[peer],
                    keys.count[peer]);
  };
  // By source: receives from lower ranks, own sends, receives from higher ones.
  for (int32_t a = 0; a < rank; ++a)
    emit(false, a, receiveQuery, receiveKey);
  for (int32_t b = 0; b < topology.rankCount; ++b)
    emit(true, b, sendQuery, sendKey);
  for (int32_t a = rank + 1; a < topology.rankCount; ++a)
    emit(false, a, receiveQuery, receiveKey);
}

} // namespace rshard::tokenset
