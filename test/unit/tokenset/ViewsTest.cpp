#include "rshard/tokenset/Views.h"
#include "RandomSets.h"
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

RC_GTEST_PROP(Views, byBruteForce, ()) {
  Plan plan;
  plan.R = drawPartition("R", draw(1, 3));
  plan.S = drawPartition("S", draw(1, 3));
  plan.T = drawPartition("T", draw(1, 3));
  placeApart(plan);
  Position length = draw(0, 60);
  auto views = nodeViews(plan, length);
  RC_ASSERT(bool(views));
  RC_ASSERT(int32_t(views->size()) == plan.nodes() - 1);
  for (int32_t node = 1; node < plan.nodes(); ++node) {
    int64_t visible = 0, gap = 0;
    Position last = -1;
    for (Position p = 0; p < length; ++p) {
      int32_t cell = node - 1 - plan.comps();
      bool sees = cell < 0 ? plan.R.owner(p) == node - 1
                           : plan.S.owner(p) == cell / plan.keyShards() ||
                                 plan.T.owner(p) == cell % plan.keyShards();
      if (!sees)
        continue;
      ++visible;
      if (last >= 0)
        gap = std::max(gap, p - last);
      last = p;
    }
    const NodeView &view = (*views)[node - 1];
    RC_ASSERT(view.node == node);
    RC_ASSERT(view.visible == visible);
    RC_ASSERT(view.largestGap == gap);
  }
}

} // namespace
