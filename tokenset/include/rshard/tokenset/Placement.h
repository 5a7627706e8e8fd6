// Which ranks a plan's nodes may be on.

#ifndef RSHARD_TOKENSET_PLACEMENT_H
#define RSHARD_TOKENSET_PLACEMENT_H

#include "rshard/tokenset/Expected.h"

#include <cstdint>
#include <span>

namespace rshard::tokenset {

/// Of ranks by node: none is negative or beyond what so many nodes can fill,
/// and every rank up to the largest hosts a node.
Expected<void> checkRanks(std::span<const int32_t> ranks);

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_PLACEMENT_H
