// Static checks of plans and routes: C1, C2 and C6 of the design.

#ifndef RSHARD_TOKENSET_VERIFY_H
#define RSHARD_TOKENSET_VERIFY_H

#include "rshard/tokenset/Routes.h"

namespace rshard::tokenset {

/// C1: R, S and T each own every position below `length` exactly once.
Expected<void> verifyOwnership(const Plan &plan, Position length);

/// C2, for a plan: S and T own every position once, and every cell of the grid
/// has exactly one rank; so every visible pair below `length` has exactly one
/// cell.
Expected<void> verifyCoverage(const Plan &plan, Position length);

/// C2, for the current step of all ranks (routes[r] is rank r's): each cell has
/// every query row that sees one of its keys, every visible key up to the end
/// of the step is cached where the cell runs, the reach tables that were asked
/// for show each query exactly the keys that it sees, every partial that is due
/// is merged exactly once, in order of k (C3).
Expected<void> verifyCoverage(const std::vector<Routes> &routes);

/// C6, for the current step of all ranks: every send has exactly one receive
/// with the same rows in the same order, tables are sorted by (source,
/// destination, tensor), ranges lie in their buffers.
Expected<void> verifyMatching(const std::vector<Routes> &routes);

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_VERIFY_H
