#include "rshard/runtime/Pool.h"
#include "HostCodeImports.h"

#include <atomic>
#include <gtest/gtest.h>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace rshard::runtime {
namespace {

class PoolTest : public testing::TestWithParam<int> {
protected:
  void SetUp() override { setThreads(GetParam()); }
  void TearDown() override { setThreads(0); }
};

TEST_P(PoolTest, VisitsEveryIndexOnce) {
  EXPECT_EQ(threads(), GetParam());
  for (int64_t n : {0, 1, 2, 3, 63, 64, 65, 1000, 4097}) {
    std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
    parallelFor(n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i != end; ++i)
        ++visits[static_cast<size_t>(i)];
    });
    for (auto &count : visits)
      ASSERT_EQ(count.load(), 1);
  }
}

TEST_P(PoolTest, RangesDependOnTheLengthAlone) {
  auto ranges = [](int64_t n) {
    std::mutex lock;
    std::set<std::pair<int64_t, int64_t>> seen;
    parallelFor(n, [&](int64_t begin, int64_t end) {
      std::lock_guard guard(lock);
      seen.insert({begin, end});
    });
    return seen;
  };
  auto here = ranges(1000);
  setThreads(1);
  EXPECT_EQ(here, ranges(1000));
}

TEST_P(PoolTest, RunsLoopsInsideLoops) {
  std::atomic<int64_t> sum{0};
  parallelFor(10, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i != end; ++i)
      parallelFor(10, [&](int64_t b, int64_t e) { sum += e - b; });
  });
  EXPECT_EQ(sum.load(), 100);
}

TEST_P(PoolTest, SurvivesManyShortLoopsAndSleeps) {
  int64_t sum = 0;
  std::atomic<int64_t> parts{0};
  for (int i = 0; i != 3000; ++i) {
    // Long enough a pause, now and then, for the workers to fall asleep.
    if (i % 1000 == 500)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    parallelFor(i % 7,
                [&](int64_t begin, int64_t end) { parts += end - begin; });
    sum += i % 7;
  }
  EXPECT_EQ(parts.load(), sum);
}

TEST_P(PoolTest, ServesSeveralThreads) {
  std::atomic<int64_t> sum{0};
  auto work = [&] {
    for (int i = 0; i != 300; ++i)
      parallelFor(100, [&](int64_t begin, int64_t end) { sum += end - begin; });
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(sum.load(), 60000);
}

INSTANTIATE_TEST_SUITE_P(Threads, PoolTest, testing::Values(1, 2, 5));

TEST(Pool, ServesGeneratedCode) {
  int64_t seen = 0;
  hostCodeImports().rshard_parallel_for(
      [](void *ctx, int64_t begin, int64_t end) {
        *static_cast<int64_t *>(ctx) += end - begin;
      },
      &seen, 1);
  EXPECT_EQ(seen, 1);
}

} // namespace
} // namespace rshard::runtime
