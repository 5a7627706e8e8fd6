#include "rshard/tokenset/Views.h"

namespace rshard::tokenset {
namespace {

View viewOf(const TokenSet &set, Position length) {
  return {set.rank(length), set.largestGap(length)};
}

/// Sets without a bounded common period are cut to the text first.
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

/// The positions whose rows a node has, which is not the client.
Expected<TokenSet> seenBy(const Plan &plan, int32_t node, Position length) {
  int32_t cell = node - plan.attnNode(0, 0);
  if (cell < 0)
    return plan.R[node - plan.compNode(0)];
  return unite(plan.S[cell / plan.keyShards()], plan.T[cell % plan.keyShards()],
               length);
}

std::string percent(int64_t seen, int64_t of) {
  return std::to_string(seen) + " of " + std::to_string(of) + " tokens (" +
         std::to_string(of > 0 ? (200 * seen + of) / (2 * of) : 0) + " %)";
}

std::string nameOf(const Plan &plan, const RankView &view) {
  if (view.nodes.size() == 1)
    return plan.nodeName(view.nodes.front());
  return "rank " + std::to_string(view.rank) + " (" +
         std::to_string(view.nodes.size()) + " nodes)";
}

} // namespace

Expected<std::vector<NodeView>> nodeViews(const Plan &plan, Position length) {
  std::vector<NodeView> views;
  for (int32_t node = plan.compNode(0); node < plan.nodes(); ++node) {
    auto seen = seenBy(plan, node, length);
    if (!seen)
      return seen.error();
    views.push_back({viewOf(*seen, length), node});
  }
  return views;
}

Expected<std::vector<RankView>> rankViews(const Plan &plan, Position length) {
  std::vector<RankView> views(static_cast<size_t>(plan.rankCount()));
  std::vector<TokenSet> seen(views.size());
  for (int32_t node = 0; node < plan.nodes(); ++node) {
    auto rank = static_cast<size_t>(plan.ranks[static_cast<size_t>(node)]);
    views[rank].nodes.push_back(node);
    if (node == Plan::clientNode())
      continue;
    auto own = seenBy(plan, node, length);
    if (!own)
      return own.error();
    auto all = views[rank].nodes.size() == 1 ? std::move(own)
                                             : unite(seen[rank], *own, length);
    if (!all)
      return all.error();
    seen[rank] = std::move(*all);
  }
  auto client =
      static_cast<size_t>(plan.ranks[static_cast<size_t>(Plan::clientNode())]);
  for (size_t rank = 0; rank < views.size(); ++rank) {
    static_cast<View &>(views[rank]) = rank == client
                                           ? View{length, length > 1 ? 1 : 0}
                                           : viewOf(seen[rank], length);
    views[rank].rank = static_cast<int32_t>(rank);
  }
  return views;
}

Expected<ViewSummary> summarizeViews(const Plan &plan, Position length) {
  auto views = rankViews(plan, length);
  if (!views)
    return views.error();
  ViewSummary summary;
  summary.length = length;
  for (RankView &view : *views) {
    if (view.nodes.front() == Plan::clientNode()) {
      summary.besideClient = static_cast<int32_t>(view.nodes.size()) - 1;
      continue;
    }
    if (summary.largest.nodes.empty() || view.visible > summary.largest.visible)
      summary.largest = view;
    if (view.largestGap > 0 && (summary.weakest.largestGap == 0 ||
                                view.largestGap < summary.weakest.largestGap))
      summary.weakest = view;
  }
  return summary;
}

std::string describe(const Plan &plan, const ViewSummary &summary) {
  std::string beside = std::to_string(summary.besideClient) +
                       (summary.besideClient == 1 ? " node is" : " nodes are") +
                       " on the client's rank, which sees everything";
  if (summary.largest.nodes.empty())
    return "all " + beside;
  std::string text =
      nameOf(plan, summary.largest) + " sees " +
      percent(summary.largest.visible, summary.length) + ", largest gap " +
      std::to_string(summary.largest.largestGap) + "; weakest gap: ";
  text += summary.weakest.largestGap == 0
              ? "none"
              : nameOf(plan, summary.weakest) + ", " +
                    std::to_string(summary.weakest.largestGap);
  return summary.besideClient == 0 ? text : text + "; " + beside;
}

} // namespace rshard::tokenset
