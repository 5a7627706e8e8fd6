//===- PlanPicture.h - who holds which tokens, for the terminal -*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_PLANPICTURE_H
#define RSHARD_TOOLS_RSHARD_PLANPICTURE_H

#include "rshard/tokenset/Plan.h"
#include <string>

namespace rshard::tool {

/// `[0,1,7,8..]`: the members of the first two periods, eight at most. `base`
/// is the number of the first position, 0 or 1.
std::string listMembers(const tokenset::TokenSet &set, int64_t base);

/// `R = [0,1,7,8..], [2,3,9,10..]`.
std::string listSets(const tokenset::Partition &sets, int64_t base);

/// A table: which node holds which set.
std::string tabulatePlan(const tokenset::Plan &plan, int64_t base);

/// One line per set, one character per position: `#` where the set holds it.
std::string drawPlan(const tokenset::Plan &plan, int64_t columns, int64_t base);

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_PLANPICTURE_H
