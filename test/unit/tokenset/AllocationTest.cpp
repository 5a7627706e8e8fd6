// A step allocates nothing: counted at operator new.

#include "AllocationCounter.h"
#include "RandomPlans.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace rshard::tokenset;
using namespace rshard::tokenset::test;

namespace {

RC_GTEST_PROP(Allocation, fillAllocatesNothing, ()) {
  Plan plan = drawPlan();
  std::vector<Mask> masks = drawMasks();
  int64_t capacity = draw(1, 45), largest = draw(1, 50);
  auto routes = Routes::create(plan, masks, capacity, largest,
                               draw(0, plan.rankCount() - 1));
  RC_ASSERT(bool(routes));
  drawWants(*routes);
  for (const Step &step : drawSteps(masks, capacity, largest)) {
    int64_t before = rshard::test::allocations();
    bool filled = bool(routes->fill(step));
    int64_t after = rshard::test::allocations();
    RC_ASSERT(filled);
    RC_ASSERT(after == before);
  }
  RC_ASSERT(rshard::test::allocations() > 0); // the counter is in use
}

} // namespace
