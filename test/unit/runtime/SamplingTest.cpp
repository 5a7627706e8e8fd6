#include "rshard/runtime/Sampling.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <string>

namespace rshard::runtime {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

Sampler sampler(SamplingOptions options) { return *Sampler::create(options); }

TEST(Sampling, GreedyTakesTheFirstOfEquals) {
  EXPECT_EQ(*sampler({}).next(std::vector<float>{1, 3, 3, 2}), 1);
  EXPECT_EQ(*sampler({}).next(std::vector<float>{-infinity, -5}), 1);
}

// Logits are looked at many at a time: wherever the greatest is, and what ends
// the row, is found.
TEST(Sampling, FindsItAnywhere) {
  for (size_t size : {1, 15, 16, 17, 1023, 1024, 1041, 2100}) {
    for (size_t place = 0; place < size; place += 1 + place / 7) {
      std::vector<float> logits(size, -1.5f);
      logits[place] = -1;
      EXPECT_EQ(*sampler({}).next(logits), static_cast<int32_t>(place));
      logits.back() = -1;
      EXPECT_EQ(*sampler({}).next(logits), static_cast<int32_t>(place));
      for (float bad : {std::numeric_limits<float>::quiet_NaN(), infinity}) {
        logits[place] = bad;
        auto refused = sampler({}).next(logits);
        ASSERT_FALSE(refused);
        EXPECT_NE(refused.error().message.find("logit of token " +
                                               std::to_string(place) + " is "),
                  std::string::npos);
      }
    }
  }
}

TEST(Sampling, DrawsByProbability) {
  Sampler draw = sampler({1.0, 1.0, 7});
  std::vector<float> logits{0, std::log(3.0f), -infinity};
  std::vector<int> seen(3);
  for (int i = 0; i != 4000; ++i)
    ++seen[static_cast<size_t>(*draw.next(logits))];
  EXPECT_NEAR(seen[1], 3000, 150);
  EXPECT_EQ(seen[2], 0);
}

TEST(Sampling, TemperatureSharpens) {
  Sampler draw = sampler({0.5, 1.0, 7});
  std::vector<float> logits{0, std::log(3.0f)};
  int second = 0;
  for (int i = 0; i != 4000; ++i)
    second += *draw.next(logits);
  EXPECT_NEAR(second, 3600, 150); // 9 : 1
}

TEST(Sampling, TopPKeepsTheSmallestSet) {
  // 0.5, 0.3, 0.2: the first alone reaches 0.5, the first two 0.8.
  std::vector<float> logits{std::log(2.0f), std::log(5.0f), std::log(3.0f)};
  Sampler narrow = sampler({1.0, 0.45, 1});
  Sampler wide = sampler({1.0, 0.75, 1});
  bool third = false, second = false;
  for (int i = 0; i != 500; ++i) {
    EXPECT_EQ(*narrow.next(logits), 1);
    int32_t token = *wide.next(logits);
    second |= token == 2;
    third |= token == 0;
  }
  EXPECT_TRUE(second);
  EXPECT_FALSE(third);
}

TEST(Sampling, SeedsDecide) {
  std::vector<float> logits(50);
  auto draw = [&](uint64_t seed) {
    Sampler s = sampler({1.0, 1.0, seed});
    std::vector<int32_t> out;
    for (int i = 0; i != 20; ++i)
      out.push_back(*s.next(logits));
    return out;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST(Sampling, RefusesNonsense) {
  EXPECT_FALSE(Sampler::create({-1, 1, 0}));
  EXPECT_FALSE(Sampler::create({infinity, 1, 0}));
  EXPECT_FALSE(Sampler::create({1, 0, 0}));
  EXPECT_FALSE(Sampler::create({1, 1.5, 0}));
  EXPECT_FALSE(sampler({}).next({}));
  EXPECT_FALSE(sampler({}).next(std::vector<float>{1, NAN}));
  EXPECT_FALSE(sampler({}).next(std::vector<float>{1, infinity}));
  EXPECT_FALSE(sampler({}).next(std::vector<float>{-infinity}));
}

} // namespace
} // namespace rshard::runtime
