// The memory that a rank's routes take, before it is taken.

#ifndef RSHARD_TOKENSET_ROUTEMEMORY_H
#define RSHARD_TOKENSET_ROUTEMEMORY_H

#include "rshard/tokenset/Routes.h"

namespace rshard::tokenset {

/// Bytes of the tables of a Routes object with so many masks, whatever
/// Routes::want asks for; what does not grow with the capacity, the step or the
/// grid is left out. Errors: those of routeBounds().
Expected<uint64_t> routeBytes(const Plan &plan, size_t masks, int64_t capacity,
                              int64_t largestStep, int32_t rank);

/// The number of grid columns with nodes on this rank.
int64_t columnsOfRank(const Plan &plan, int32_t rank);

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_ROUTEMEMORY_H
