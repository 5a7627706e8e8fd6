// Partial results down to the CompNodes, and the order of their merge (C3).

#include "RoutesState.h"

#include <numeric>

namespace rshard::tokenset {

void Routes::State::routePartials(size_t c) {
  MaskTables &table = tables.masks[c];
  int32_t n = rows();
  int32_t p = static_cast<int32_t>(step.position);

  send.reset(topology.rankCount);
  auto forEachSend = [&](auto &&fn) {
    for (size_t row = 0; row < table.queryPosition.size(); ++row) {
      int32_t b = topology.compRank[compOf[table.queryPosition[row] - p]];
      if (b != rank)
        fn(static_cast<int32_t>(row), b);
    }
  };
  forEachSend([&](int32_t, int32_t b) { ++send.count[b]; });
  table.downPack.resize(send.layOut(0));
  cursor.assign(send.begin.begin(), send.begin.end());
  forEachSend(
      [&](int32_t row, int32_t b) { table.downPack[cursor[b]++] = row; });

  // What comes back for the CompNode rows here: from each rank in the order of
  // its query table, so by grid row, then by position.
  receive.reset(topology.rankCount);
  table.mergeBegin.assign(1, 0);
  table.mergeSource.clear();
  size_t width = topology.rowSlots;
  if (!ownRow.empty()) {
    bucketBegin.assign(plan.queryShards() + 1, 0);
    for (int32_t t : ownRow)
      ++bucketBegin[rowOf[t] + 1];
    std::partial_sum(bucketBegin.begin(), bucketBegin.end(),
                     bucketBegin.begin());
    cursor.assign(bucketBegin.begin(), bucketBegin.end() - 1);
    bucket.resize(ownRow.size());
    for (int32_t t = 0; t < n; ++t)
      if (topology.compRank[compOf[t]] == rank)
        bucket[cursor[rowOf[t]]++] = t;

    partialRow.resize(ownRow.size() * width);
    int32_t next = static_cast<int32_t>(table.queryPosition.size());
    for (int32_t a : topology.attnRanks) {
      if (a == rank)
        continue;
      receive.begin[a] = next;
      auto gridRowsThere = topology.rowsOfRank[a];
      auto slotsThere = topology.slotsOfRank[a];
      for (size_t at = 0; at < gridRowsThere.size(); ++at) {
        int32_t j = gridRowsThere[at], slot = slotsThere[at];
        for (int32_t i = bucketBegin[j]; i < bucketBegin[j + 1]; ++i)
          if (isShown(bucket[i], slot))
            partialRow[tableRow[bucket[i]] * width + slot] = next++;
      }
      receive.count[a] = next - receive.begin[a];
    }
    for (size_t x = 0; x < ownRow.size(); ++x) {
      int32_t t = ownRow[x];
      auto ranks = topology.ranksOfRow[rowOf[t]];
      for (size_t slot = 0; slot < ranks.size(); ++slot)
        if (isShown(t, slot))
          table.mergeSource.push_back(
              ranks[slot] == rank ? queryRow[t] : partialRow[x * width + slot]);
      table.mergeBegin.push_back(
          static_cast<int32_t>(table.mergeSource.size()));
    }
  }

  table.downTransfer.clear();
  auto emit = [&](bool isSend, int32_t peer, const PeerRows &rows) {
    if (rows.count[peer] > 0)
      for (int32_t tensor : {0, 1})
        addTransfer(table.downTransfer, tensor, isSend, peer, rows.begin[peer],
                    rows.count[peer]);
  };
  for (int32_t a = 0; a < rank; ++a)
    emit(false, a, receive);
  for (int32_t b = 0; b < topology.rankCount; ++b)
    emit(true, b, send);
  for (int32_t a = rank + 1; a < topology.rankCount; ++a)
    emit(false, a, receive);
}

} // namespace rshard::tokenset
