//===- AttentionTest.cpp - partial attention against loops in double ------===//

#include "Kernels.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace rshard::cpu;
using namespace rshard::cpu::test;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

enum class Mask { Full, Causal, Window };

struct Case {
  AttentionParams params;
  Mask mask = Mask::Causal;
  int64_t window = 0; ///< Window: a key is visible iff 0 <= q - k < window
};

/// Queries and keys at sorted positions, scattered over [0, 3 * (rows + keys)).
struct Problem {
  const Case &attention;
  const AttentionParams &params = attention.params;
  int64_t rows, keys;
  Matrix<float> q, k, v;
  Table source, queryPosition, keyPosition;

  Problem(const Case &attention, int64_t rows, int64_t keys, Random &random)
      : attention(attention), rows(rows), keys(keys),
        q(random.matrix(rows + 5, params.queryHeads * params.headWidth)),
        k(random.matrix(keys + 3, params.keyHeads * params.headWidth)),
        v(random.matrix(keys + 3, params.keyHeads * params.headWidth)) {
    // Rows of the caches past the last key must not be looked at.
    for (int64_t row = keys; row < keys + 3; ++row)
      for (int64_t c = 0; c < k.width; ++c)
        k(row, c) = v(row, c) = NAN;
    Table all(3 * (rows + keys) + 1);
    std::iota(all.begin(), all.end(), 0);
    auto draw = [&](int64_t count) {
      for (int64_t i = 0; i < count; ++i)
        std::swap(all[i], all[i + random.below(all.size() - i)]);
      Table drawn(all.begin(), all.begin() + count);
      std::sort(drawn.begin(), drawn.end());
      return drawn;
    };
    queryPosition = draw(rows);
    keyPosition = draw(keys);
    for (int64_t row = 0; row < rows; ++row)
      source.push_back(static_cast<int32_t>(random.below(rows + 5)));
  }

  bool visible(int64_t row, int64_t key) const {
    int64_t distance = int64_t(queryPosition[row]) - keyPosition[key];
    switch (attention.mask) {
    case Mask::Full:
      return true;
    case Mask::Causal:
      return distance >= 0;
    case Mask::Window:
      return distance >= 0 && distance < attention.window;
    }
    return false;
  }

  struct Partial {
    Matrix<double> o, lse;
  };
  /// The keys [0, count) by naive loops.
  Partial expected(int64_t count) const {
    int64_t d = params.headWidth, group = params.queryHeads / params.keyHeads;
    Partial result{{rows, params.queryHeads * d}, {rows, params.queryHeads}};
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t h = 0; h < params.queryHeads; ++h) {
        std::vector<double> scores(count, -infinity);
        double top = -infinity, total = 0.0;
        for (int64_t key = 0; key < count; ++key)
          if (visible(r, key)) {
            double dot = 0.0;
            for (int64_t i = 0; i < d; ++i)
              dot +=
                  double(q(source[r], h * d + i)) * k(key, h / group * d + i);
            scores[key] = dot * params.scale;
            if (params.softCap)
              scores[key] =
                  params.softCap * std::tanh(scores[key] / params.softCap);
            top = std::max(top, scores[key]);
          }
        for (int64_t key = 0; key < count; ++key)
          if (scores[key] > -infinity) {
            double weight = std::exp(scores[key] - top);
            total += weight;
            for (int64_t i = 0; i < d; ++i)
              result.o(r, h * d + i) += weight * v(key, h / group * d + i);
          }
        for (int64_t i = 0; i < d && total > 0.0; ++i)
          result.o(r, h * d + i) /= total;
        result.lse(r, h) = total > 0.0 ? top + std::log(total) : -infinity;
      }
    return result;
  }

  struct Actual {
    Matrix<float> o, lse;
  };
  Actual buffers() const {
    return {{rows, params.queryHeads * params.headWidth, NAN},
            {rows, params.queryHeads, NAN}};
  }
  /// What each query sees of the keys [begin, end), counted from `begin`.
  std::pair<Table, Table> reach(int64_t begin, int64_t end) const {
    Table first, last;
    for (int64_t row = 0; row < rows; ++row) {
      int64_t from = begin;
      while (from < end && !visible(row, from) &&
             keyPosition[from] <= queryPosition[row])
        ++from;
      int64_t to = from;
      while (to < end && visible(row, to))
        ++to;
      first.push_back(static_cast<int32_t>(from - begin));
      last.push_back(static_cast<int32_t>(to - begin));
    }
    return {first, last};
  }
  /// Runs the keys [begin, end) of the caches.
  void run(Kernels &kernels, const std::string &name, Actual &out,
           int64_t begin, int64_t end, bool first) {
    auto [firstKeys, lastKeys] = reach(begin, end);
    kernels.call(name, q.view(), view(source), k.view(begin, keys + 3 - begin),
                 v.view(begin, keys + 3 - begin), view(firstKeys),
                 view(lastKeys), out.o.view(), out.lse.view(), first);
  }
};

void compare(const Problem::Actual &actual, const Problem::Partial &expected) {
  EXPECT_LT(errorOf(actual.o, expected.o), 3e-6);
  EXPECT_TRUE(actual.o.intact() && actual.lse.intact());
  for (int64_t r = 0; r < expected.lse.rows; ++r)
    for (int64_t h = 0; h < expected.lse.width; ++h)
      if (std::isinf(expected.lse(r, h)))
        EXPECT_EQ(actual.lse(r, h), -infinity) << r;
      else
        EXPECT_NEAR(actual.lse(r, h), expected.lse(r, h), 1e-5) << r;
}

const Case cases[] = {
    {{9, 3, 64, 0.125}},
    {{4, 4, 8, 0.353553}, Mask::Full},
    {{4, 2, 16, 0.25}, Mask::Window, 40},
    {{4, 1, 80, 0.111803}},
    {{2, 2, 72, 0.117851}, Mask::Window, 1},
    {{14, 2, 64, 0.125}},
    {{2, 1, 5, 0.447214}, Mask::Full},
    {{3, 1, 24, 0.204124}, Mask::Window, 200},
    {{4, 2, 16, 0.25, 1.5}},
};
const std::pair<int64_t, int64_t> sizes[] = {
    {0, 10},  {1, 0},   {1, 1},   {1, 173},  {2, 64},   {5, 65},
    {6, 200}, {7, 130}, {13, 63}, {64, 128}, {173, 90}, {173, 300}};

class Attention : public testing::TestWithParam<const char *> {};

TEST_P(Attention, MatchesLoops) {
  Kernels kernels(GetParam());
  std::vector<std::string> names;
  for (const Case &attention : cases) {
    kernels.add(kernels.library().attention(attention.params));
    names.push_back(
        kernels.library().attention(attention.params).getName().str());
  }
  kernels.load();
  Random random(31);
  for (auto [attention, name] : llvm::zip(cases, names))
    for (auto [rows, keys] : sizes) {
      SCOPED_TRACE(name + " rows " + std::to_string(rows) + " keys " +
                   std::to_string(keys));
      Problem problem(attention, rows, keys, random);
      Problem::Partial expected = problem.expected(keys);
      setThreads(1);
      Problem::Actual whole = problem.buffers();
      problem.run(kernels, name, whole, 0, keys, true);
      compare(whole, expected);

      setThreads(2);
      Problem::Actual threaded = problem.buffers();
      problem.run(kernels, name, threaded, 0, keys, true);
      EXPECT_TRUE(threaded.o.sameBits(whole.o));
      EXPECT_TRUE(threaded.lse.sameBits(whole.lse));

      // Three parts, one of them empty, continue one another.
      Problem::Actual parts = problem.buffers();
      int64_t cut = keys / 3;
      problem.run(kernels, name, parts, 0, cut, true);
      Problem::Actual before = parts;
      problem.run(kernels, name, parts, cut, cut, false);
      EXPECT_TRUE(parts.o.sameBits(before.o));
      EXPECT_TRUE(parts.lse.sameBits(before.lse));
      problem.run(kernels, name, parts, cut, keys, false);
      compare(parts, expected);
    }
}

/// Queries before every key see nothing, alone and beside queries that do.
TEST_P(Attention, RowsWithoutKeys) {
  Case attention{{3, 1, 16, 0.25}};
  const AttentionParams &params = attention.params;
  Kernels kernels(GetParam());
  kernels.add(kernels.library().attention(params));
  std::string name = kernels.library().attention(params).getName().str();
  kernels.load();
  Random random(37);
  for (int64_t rows : {1, 2, 40}) {
    Problem problem(attention, rows, 70, random);
    for (int64_t key = 0; key < 70; ++key)
      problem.keyPosition[key] = static_cast<int32_t>(1000 + key);
    Problem::Actual out = problem.buffers();
    problem.run(kernels, name, out, 0, 70, true);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < out.o.width; ++c)
        EXPECT_EQ(out.o(r, c), 0.0f);
      for (int64_t h = 0; h < out.lse.width; ++h)
        EXPECT_EQ(out.lse(r, h), -infinity);
    }
    problem.queryPosition.back() = 1005;
    problem.run(kernels, name, out, 0, 70, true);
    compare(out, problem.expected(70));
    // A state of nothing, continued by nothing and then by something.
    problem.queryPosition.back() = 5;
    problem.run(kernels, name, out, 0, 70, true);
    problem.run(kernels, name, out, 0, 70, false);
    problem.queryPosition.back() = 1069;
    problem.run(kernels, name, out, 0, 70, false);
    compare(out, problem.expected(70));
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, Attention, testing::Values("native", "x86-64-v3"),
                         [](const auto &info) {
                           return info.index ? "Avx2" : "Native";
                         });

} // namespace
