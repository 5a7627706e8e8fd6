// Where lists of rows say nothing: plans whose rows are always in order.

#ifndef RSHARD_TOKENSET_ROWORDER_H
#define RSHARD_TOKENSET_ROWORDER_H

#include "rshard/tokenset/Plan.h"

namespace rshard::tokenset {

/// One CompNode, one query shard and one key shard, wherever they are: rows
/// come in the order of positions, so that in every step and on every rank
/// `query.source` and `merge.source` list 0, 1, 2..., and every row has one
/// partial.
inline bool keepsRowOrder(const Plan &plan) {
  return plan.comps() == 1 && plan.queryShards() == 1 && plan.keyShards() == 1;
}

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_ROWORDER_H
