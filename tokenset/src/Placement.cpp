#include "rshard/tokenset/Placement.h"

#include <algorithm>
#include <vector>

namespace rshard::tokenset {

Expected<void> checkRanks(std::span<const int32_t> ranks) {
  std::vector<bool> used(ranks.size());
  size_t end = 0;
  for (size_t node = 0; node != ranks.size(); ++node) {
    int32_t rank = ranks[node];
    if (rank < 0 || size_t(rank) >= ranks.size())
      return Error{"rank of node " + std::to_string(node) + ": " +
                   std::to_string(rank) + " vs 0 to " +
                   std::to_string(ranks.size() - 1)};
    used[size_t(rank)] = true;
    end = std::max(end, size_t(rank) + 1);
  }
  for (size_t rank = 0; rank != end; ++rank)
    if (!used[rank])
      return Error{"ranks: no node on rank " + std::to_string(rank) +
                   " vs ranks 0 to " + std::to_string(end - 1) +
                   " without a hole"};
  return {};
}

} // namespace rshard::tokenset
