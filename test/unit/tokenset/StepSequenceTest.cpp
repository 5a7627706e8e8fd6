#include "rshard/tokenset/StepSequence.h"
#include "RandomPlans.h"
#include "rshard/tokenset/Verify.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace rshard::tokenset;
using namespace rshard::tokenset::test;

namespace {

RC_GTEST_PROP(StepSequence, routesTheWholeText, ()) {
  Plan plan = drawPlan();
  std::vector<Mask> masks = drawMasks();
  int64_t length = draw(1, 40);
  auto sequence = StepSequence::create(plan, masks, length);
  RC_ASSERT(bool(sequence));
  Position routed = 0;
  int64_t steps = 0, received = 0;
  bool goesBack = false;
  for (;;) {
    auto next = sequence->next();
    RC_ASSERT(bool(next));
    if (!*next)
      break;
    ++steps;
    const std::vector<Routes> &ranks = sequence->routes();
    RC_ASSERT(int32_t(ranks.size()) == plan.rankCount());
    RC_ASSERT(bool(verifyCoverage(ranks)) && bool(verifyMatching(ranks)));
    RC_ASSERT(ranks[0].step().position <= routed);
    goesBack |= ranks[0].step().position < routed;
    routed = ranks[0].length();
    for (const Routes &routes : ranks)
      for (const std::string &name : RouteTables::names(masks.size()))
        if (name.ends_with(".transfer")) {
          const IndexList &table = *routes.tables().find(name);
          for (size_t i = 0; i < transferCount(table); ++i)
            received += !transferAt(table, i).isSend;
        }
  }
  RC_ASSERT(routed == length);
  RC_ASSERT(sequence->steps() == steps);
  // Counted at the other end.
  RC_ASSERT(sequence->messages() == received);
  bool isBidirectional =
      std::any_of(masks.begin(), masks.end(),
                  [](const Mask &mask) { return mask.kind == MaskKind::Full; });
  if (isBidirectional)
    RC_ASSERT(steps == 1);
  else if (length > 3)
    RC_ASSERT(goesBack);
}

TEST(StepSequence, refusesWhatThePlanDoesNotReach) {
  Plan plan;
  plan.R = *Partition::create("R", {*TokenSet::parse("[0,8)")});
  plan.S = plan.T = plan.R;
  plan.ranks = {0, 0, 0};
  EXPECT_TRUE(bool(StepSequence::create(plan, {Mask::causal()}, 8)));
  auto longer = StepSequence::create(plan, {Mask::causal()}, 9);
  ASSERT_FALSE(bool(longer));
  EXPECT_NE(longer.error().message.find("9"), std::string::npos);
}

} // namespace
