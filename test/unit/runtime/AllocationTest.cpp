// A warm step allocates nothing: counted at operator new. Not under the address
// sanitizer, which brings its own.

#if !defined(__SANITIZE_ADDRESS__) &&                                          \
    !(defined(__has_feature) && __has_feature(address_sanitizer))

#include "ToyModel.h"
#include "rshard/tokenset/ClusterRule.h"

#include <atomic>
#include <cstdlib>
#include <new>

static std::atomic<int64_t> allocations{0};

void *operator new(size_t size) {
  ++allocations;
  if (void *memory = std::malloc(size ? size : 1))
    return memory;
  throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }

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
  int64_t before = allocations;
  bool ok = static_cast<bool>(session->step(tokens, 0));
  for (int64_t p = 20; p != 36; ++p)
    ok &= static_cast<bool>(session->step(std::span(tokens).first(1), p));
  EXPECT_EQ(allocations - before, 0);
  EXPECT_TRUE(ok);
}

} // namespace
} // namespace rshard::runtime

#endif
