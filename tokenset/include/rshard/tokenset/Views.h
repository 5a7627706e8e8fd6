// What single nodes, and ranks that host several, see of a text of a given
// length.

#ifndef RSHARD_TOKENSET_VIEWS_H
#define RSHARD_TOKENSET_VIEWS_H

#include "rshard/tokenset/Plan.h"

namespace rshard::tokenset {

/// The positions of which somebody has rows.
struct View {
  int64_t visible = 0;
  /// The largest difference of neighbouring visible positions: 1 if everything
  /// is seen, 0 if fewer than two positions are.
  int64_t largestGap = 0;
};

/// What one node sees: CompNode i the rows of R_i, AttnNode (j,k) those of S_j
/// and T_k.
struct NodeView : View {
  int32_t node = 0;
};
/// The views of all nodes but the client, in node order.
Expected<std::vector<NodeView>> nodeViews(const Plan &plan, Position length);

/// What one rank sees: all that its nodes see, and everything where the client
/// is.
struct RankView : View {
  int32_t rank = 0;
  std::vector<int32_t> nodes;
};
/// The views of all ranks.
Expected<std::vector<RankView>> rankViews(const Plan &plan, Position length);

/// The most exposed ranks beside the client's.
struct ViewSummary {
  Position length = 0;
  /// The first that sees most; without nodes if there is no other rank.
  RankView largest;
  /// The first whose largest gap is smallest; largestGap 0: none sees two
  /// positions.
  RankView weakest;
  /// Nodes beside the client on its rank.
  int32_t besideClient = 0;
};
Expected<ViewSummary> summarizeViews(const Plan &plan, Position length);

/// `attn(0,1) sees 24 of 39 tokens (62 %), largest gap 4; weakest gap:
/// attn(0,2), 2`; a rank of several nodes is named by its number.
std::string describe(const Plan &plan, const ViewSummary &summary);

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_VIEWS_H
