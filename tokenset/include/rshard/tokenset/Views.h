// What single nodes see of a text of a given length.

#ifndef RSHARD_TOKENSET_VIEWS_H
#define RSHARD_TOKENSET_VIEWS_H

#include "rshard/tokenset/Plan.h"

namespace rshard::tokenset {

/// The positions whose rows one node sees: CompNode i those of R_i, AttnNode
/// (j,k) those of S_j and T_k.
struct NodeView {
  int32_t node = 0;
  int64_t visible = 0;
  /// The largest difference of neighbouring visible positions: 1 if everything
  /// is seen, 0 if fewer than two positions are.
  int64_t largestGap = 0;
};

/// The views of all nodes but the client, in node order.
Expected<std::vector<NodeView>> nodeViews(const Plan &plan, Position length);

/// The first node that sees most, and the first whose largest gap is smallest.
struct ViewSummary {
  Position length = 0;
  NodeView largest;
  /// largestGap 0: no node sees two positions.
  NodeView weakest;
};
Expected<ViewSummary> summarizeViews(const Plan &plan, Position length);

/// `attn(0,1) sees 24 of 39 tokens (62 %), largest gap 4; weakest gap:
/// attn(0,2), 2`.
std::string describe(const Plan &plan, const ViewSummary &summary);

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_VIEWS_H
