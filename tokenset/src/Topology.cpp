#include "Topology.h"

namespace rshard::tokenset {
namespace {

/// The slot of `rank` in the list that is being appended to `lists`.
int32_t slotOf(ListOfLists &lists, int32_t rank) {
  int32_t first = lists.begin.back();
  auto begin = lists.items.begin() + first;
  auto it = std::find(begin, lists.items.end(), rank);
  int32_t slot = static_cast<int32_t>(it - begin);
  if (it == lists.items.end())
    lists.items.push_back(rank);
  return slot;
}

} // namespace

Topology::Topology(const Plan &plan)
    : rankCount(plan.rankCount()), queryShards(plan.queryShards()),
      keyShards(plan.keyShards()), clientRank(plan.ranks[Plan::clientNode()]),
      rowSlot(size_t(queryShards) * keyShards),
      columnSlot(size_t(queryShards) * keyShards) {
  std::vector<std::vector<int32_t>> comps(rankCount), rows(rankCount),
      slots(rankCount);
  for (int32_t i = 0; i < plan.comps(); ++i) {
    compRank.push_back(plan.ranks[plan.compNode(i)]);
    comps[compRank.back()].push_back(i);
  }
  for (int32_t j = 0; j < queryShards; ++j) {
    for (int32_t k = 0; k < keyShards; ++k)
      rowSlot[cellOf(j, k)] =
          slotOf(ranksOfRow, plan.ranks[plan.attnNode(j, k)]);
    ranksOfRow.endList();
    auto ranks = ranksOfRow[j];
    rowSlots = std::max(rowSlots, ranks.size());
    for (size_t slot = 0; slot < ranks.size(); ++slot) {
      rows[ranks[slot]].push_back(j);
      slots[ranks[slot]].push_back(static_cast<int32_t>(slot));
    }
  }
  for (int32_t k = 0; k < keyShards; ++k) {
    for (int32_t j = 0; j < queryShards; ++j)
      columnSlot[cellOf(j, k)] =
          slotOf(ranksOfColumn, plan.ranks[plan.attnNode(j, k)]);
    ranksOfColumn.endList();
    columnSlots = std::max(columnSlots, ranksOfColumn[k].size());
  }
  auto flatten = [](const std::vector<std::vector<int32_t>> &from,
                    ListOfLists &to) {
    for (const std::vector<int32_t> &list : from) {
      to.items.insert(to.items.end(), list.begin(), list.end());
      to.endList();
    }
  };
  flatten(comps, compsOfRank);
  flatten(rows, rowsOfRank);
  flatten(slots, slotsOfRank);
  for (int32_t rank = 0; rank < rankCount; ++rank) {
    if (!comps[rank].empty())
      compRanks.push_back(rank);
    if (!rows[rank].empty())
      attnRanks.push_back(rank);
  }
}

} // namespace rshard::tokenset
