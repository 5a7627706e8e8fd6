// A step allocates nothing: every call of operator new in this program counts.

#include "RandomPlans.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>
#include <new>

namespace {
size_t allocations = 0;
} // namespace

void *operator new(size_t size) {
  ++allocations;
  if (void *memory = std::malloc(size ? size : 1))
    return memory;
  throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }

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
  for (const Step &step : drawSteps(masks, capacity, largest)) {
    size_t before = allocations;
    bool filled = bool(routes->fill(step));
    size_t after = allocations;
    RC_ASSERT(filled);
    RC_ASSERT(after == before);
  }
  RC_ASSERT(allocations > 0u); // the counter is in use
}

} // namespace
