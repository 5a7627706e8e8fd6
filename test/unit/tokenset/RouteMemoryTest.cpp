// What routes are said to take is what they take.

#include "rshard/tokenset/RouteMemory.h"
#include "AllocationCounter.h"
#include "RandomPlans.h"
#include "rshard/tokenset/ClusterRule.h"
#include "rshard/tokenset/StepSequence.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace rshard::tokenset;
using namespace rshard::tokenset::test;

namespace {

/// Bytes asked for by routes whose every table is wanted.
int64_t taken(const Plan &plan, const std::vector<Mask> &masks,
              int64_t capacity, int64_t largest, int32_t rank) {
  std::vector<std::string> names;
  for (size_t c = 0; c != masks.size(); ++c)
    for (const char *table : {"reach", "client.reach"})
      names.push_back(table + std::to_string(c) + ".first");
  int64_t before = rshard::test::allocatedBytes();
  auto routes = Routes::create(plan, masks, capacity, largest, rank);
  RC_ASSERT(bool(routes));
  for (const std::string &name : names)
    routes->want(name);
  return rshard::test::allocatedBytes() - before;
}

RC_GTEST_PROP(RouteMemory, growsAsSaid, ()) {
  Plan plan = drawPlan();
  std::vector<Mask> masks = drawMasks();
  int32_t rank = draw(0, plan.rankCount() - 1);
  int64_t capacity = draw(1, 45), more = draw(capacity, 400);
  int64_t step = draw(1, capacity), largest = draw(step, more);
  auto before = routeBytes(plan, masks.size(), capacity, step, rank);
  auto after = routeBytes(plan, masks.size(), more, largest, rank);
  RC_ASSERT(bool(before) && bool(after));
  // What does not grow is the same in both.
  RC_ASSERT(taken(plan, masks, more, largest, rank) -
                taken(plan, masks, capacity, step, rank) ==
            int64_t(*after) - int64_t(*before));
}

/// The figure's plan: 21 ranks, of which four cache every position.
TEST(RouteMemory, aTextIsCheckedInTensOfBytes) {
  Plan plan = *makePlan({});
  constexpr int64_t length = 1 << 20;
  auto said = StepSequence::bytes(plan, {Mask::causal()}, length);
  ASSERT_TRUE(bool(said));
  int64_t before = rshard::test::allocatedBytes();
  ASSERT_TRUE(bool(StepSequence::create(plan, {Mask::causal()}, length)));
  int64_t taken = rshard::test::allocatedBytes() - before;
  EXPECT_LT(taken / length, 48);
  // What does not grow with the text is not said.
  EXPECT_GE(taken, int64_t(*said));
  EXPECT_LT(taken, int64_t(*said) + (1 << 20));
}

} // namespace
