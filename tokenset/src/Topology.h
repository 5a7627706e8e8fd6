// Which ranks hold which nodes: the part of routes that no step changes.

#ifndef RSHARD_TOKENSET_SRC_TOPOLOGY_H
#define RSHARD_TOKENSET_SRC_TOPOLOGY_H

#include "rshard/tokenset/Plan.h"

#include <span>

namespace rshard::tokenset {

/// A list of lists in one array.
struct ListOfLists {
  std::vector<int32_t> begin = {0};
  std::vector<int32_t> items;

  std::span<const int32_t> operator[](size_t index) const {
    return {items.data() + begin[index], items.data() + begin[index + 1]};
  }
  void endList() { begin.push_back(static_cast<int32_t>(items.size())); }
};

/// Slots number the different ranks of one grid row or column, because a row
/// travels once per rank.
struct Topology {
  explicit Topology(const Plan &plan);

  int32_t rankCount = 0;
  int32_t queryShards = 0;
  int32_t keyShards = 0;
  int32_t clientRank = 0;
  std::vector<int32_t> compRank;  // of CompNode i
  std::vector<int32_t> compRanks; // with CompNodes, ascending
  std::vector<int32_t> attnRanks; // with cells, ascending
  ListOfLists compsOfRank;
  /// Ranks of grid row j, in order of the smallest k they hold (C3).
  ListOfLists ranksOfRow;
  ListOfLists ranksOfColumn;
  std::vector<int32_t> rowSlot;    // of cell (j,k) in ranksOfRow[j]
  std::vector<int32_t> columnSlot; // of cell (j,k) in ranksOfColumn[k]
  size_t rowSlots = 0;             // the most that a grid row has
  size_t columnSlots = 0;
  /// Grid rows with cells on a rank, ascending, and the rank's slot in each.
  ListOfLists rowsOfRank;
  ListOfLists slotsOfRank;

  int32_t cellOf(int32_t j, int32_t k) const { return j * keyShards + k; }
};

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_SRC_TOPOLOGY_H
