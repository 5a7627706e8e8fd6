// A warm step allocates nothing: counted at operator new.

#include "AllocationCounter.h"
#include "ToyModel.h"
#include "rshard/tokenset/ClusterRule.h"

namespace rshard::runtime {
namespace {

TEST(Session, WarmStepsDoNotAllocate) {
  ToyModel model;
  Expected<Session> session =
      model.session(*tokenset::makePlan({}), {.largestStep = 8});
  ASSERT_TRUE(session);
  std::vector<int32_t> tokens(20, 3);
  ASSERT_TRUE(session->step(tokens, 0));
  ASSERT_TRUE(session->step(std::span(tokens).first(1), 20));
  int64_t before = test::allocations();
  bool ok = static_cast<bool>(session->step(tokens, 0));
  for (int64_t p = 20; p != 36; ++p)
    ok &= static_cast<bool>(session->step(std::span(tokens).first(1), p));
  EXPECT_EQ(test::allocations() - before, 0);
  EXPECT_GT(before, 0); // the counter is in use
  EXPECT_TRUE(ok);
}

} // namespace
} // namespace rshard::runtime
