#include "rshard/tokenset/Views.h"

namespace rshard::tokenset {
namespace {

NodeView viewOf(int32_t node, const TokenSet &set, Position length) {
  return {node, set.rank(length), set.largestGap(length)};
}

/// S_j and T_k together. Sets without a bounded common period are cut to the
/// text first.
Expected<TokenSet> unite(const TokenSet &a, const TokenSet &b,
                         Position length) {
  if (auto whole = a.unite(b))
    return whole;
  auto cutA = a.clipped(0, length), cutB = b.clipped(0, length);
  if (!cutA)
    return cutA;
  if (!cutB)
    return cutB;
  return cutA->unite(*cutB);
}

} // namespace

Expected<std::vector<NodeView>> nodeViews(const Plan &plan, Position length) {
  std::vector<NodeView> views;
  for (int32_t i = 0; i < plan.comps(); ++i)
    views.push_back(viewOf(plan.compNode(i), plan.R[i], length));
  for (int32_t j = 0; j < plan.queryShards(); ++j)
    for (int32_t k = 0; k < plan.keyShards(); ++k) {
      auto both = unite(plan.S[j], plan.T[k], length);
      if (!both)
        return both.error();
      views.push_back(viewOf(plan.attnNode(j, k), *both, length));
    }
  return views;
}

Expected<ViewSummary> summarizeViews(const Plan &plan, Position length) {
  auto views = nodeViews(plan, length);
  if (!views)
    return views.error();
  ViewSummary summary{length, {}, {}};
  for (const NodeView &view : *views) {
    if (summary.largest.node == 0 || view.visible > summary.largest.visible)
      summary.largest = view;
    if (view.largestGap > 0 && (summary.weakest.largestGap == 0 ||
                                view.largestGap < summary.weakest.largestGap))
      summary.weakest = view;
  }
  return summary;
}

std::string describe(const Plan &plan, const ViewSummary &summary) {
  int64_t seen = summary.largest.visible, of = summary.length;
  int64_t percent = of > 0 ? (200 * seen + of) / (2 * of) : 0;
  std::string text =
      plan.nodeName(summary.largest.node) + " sees " + std::to_string(seen) +
      " of " + std::to_string(of) + " tokens (" + std::to_string(percent) +
      " %), largest gap " + std::to_string(summary.largest.largestGap) +
      "; weakest gap: ";
  if (summary.weakest.largestGap == 0)
    return text + "none";
  return text + plan.nodeName(summary.weakest.node) + ", " +
         std::to_string(summary.weakest.largestGap);
}

} // namespace rshard::tokenset
