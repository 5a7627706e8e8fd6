#include "rshard/tokenset/Views.h"
#include "RandomPlans.h"
#include "rshard/tokenset/ClusterRule.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace rshard::tokenset;
using namespace rshard::tokenset::test;

namespace {

std::string summary(const ClusterRule &rule, Position length) {
  auto plan = makePlan(rule);
  auto views = summarizeViews(*plan, length);
  return views ? describe(*plan, *views) : views.error().message;
}

TEST(Views, figure) {
  EXPECT_EQ(summary({}, 39),
            "attn(0,1) sees 24 of 39 tokens (62 %), largest gap 4; weakest "
            "gap: attn(0,2), 2");
}

TEST(Views, edges) {
  EXPECT_EQ(summary({}, 1), "comp(0) sees 1 of 1 tokens (100 %), largest gap "
                            "0; weakest gap: none");
  EXPECT_EQ(summary({}, 0), "comp(0) sees 0 of 0 tokens (0 %), largest gap 0; "
                            "weakest gap: none");
  ClusterRule rule;
  rule.attn = GridShape{2, 2};
  EXPECT_EQ(summary(rule, 39), "attn(0,1) sees 39 of 39 tokens (100 %), "
                               "largest gap 1; weakest gap: attn(0,1), 1");
}

TEST(Views, ofRanksThatHostSeveralNodes) {
  ClusterRule rule;
  rule.ranks = 1;
  EXPECT_EQ(summary(rule, 39),
            "all 20 nodes are on the client's rank, which sees everything");
  rule.ranks = 2;
  EXPECT_EQ(summary(rule, 39),
            "rank 1 (10 nodes) sees 39 of 39 tokens (100 %), largest gap 1; "
            "weakest gap: rank 1 (10 nodes), 1; 10 nodes are on the client's "
            "rank, which sees everything");
}

/// Whether a node other than the client has rows of a position.
bool sees(const Plan &plan, int32_t node, Position p) {
  int32_t cell = node - 1 - plan.comps();
  return cell < 0 ? plan.R.owner(p) == node - 1
                  : plan.S.owner(p) == cell / plan.keyShards() ||
                        plan.T.owner(p) == cell % plan.keyShards();
}

View count(Position length, const std::function<bool(Position)> &visible) {
  View view;
  Position last = -1;
  for (Position p = 0; p < length; ++p) {
    if (!visible(p))
      continue;
    ++view.visible;
    if (last >= 0)
      view.largestGap = std::max(view.largestGap, p - last);
    last = p;
  }
  return view;
}

void expectSame(const View &view, const View &expected) {
  RC_ASSERT(view.visible == expected.visible);
  RC_ASSERT(view.largestGap == expected.largestGap);
}

RC_GTEST_PROP(Views, byBruteForce, ()) {
  Plan plan = drawPlan();
  Position length = draw(0, 60);
  auto views = nodeViews(plan, length);
  RC_ASSERT(bool(views));
  RC_ASSERT(int32_t(views->size()) == plan.nodes() - 1);
  for (int32_t node = 1; node < plan.nodes(); ++node) {
    const NodeView &view = (*views)[node - 1];
    RC_ASSERT(view.node == node);
    expectSame(view,
               count(length, [&](Position p) { return sees(plan, node, p); }));
  }
  auto ranks = rankViews(plan, length);
  RC_ASSERT(bool(ranks));
  RC_ASSERT(int32_t(ranks->size()) == plan.rankCount());
  for (int32_t rank = 0; rank < plan.rankCount(); ++rank)
    expectSame((*ranks)[rank], count(length, [&](Position p) {
                 bool seen = false;
                 for (int32_t node = 0; node < plan.nodes(); ++node)
                   seen |= plan.ranks[node] == rank &&
                           (node == 0 || sees(plan, node, p));
                 return seen;
               }));
}

} // namespace
