//===- GoldenTest.cpp - every model under every plan gives the reference --===//

#include "Compiled.h"
#include <gtest/gtest.h>
#include <sstream>

using namespace rshard;
using namespace rshard::integration;
using runtime::Session;

namespace {

/// A model under a plan, with client layers.
class GoldenTest : public testing::TestWithParam<Subject> {
protected:
  void expectClose(std::span<const float> actual,
                   std::span<const float> expected, const std::string &what) {
    ASSERT_EQ(actual.size(), expected.size()) << what;
    double error = relativeError(actual, expected);
    EXPECT_LT(error, kBound) << what;
    worst = std::max(worst, error);
  }
  /// The reference's prompt in steps of these sizes, and 48 greedy tokens.
  std::vector<int32_t> continueGreedily(Session &session,
                                        const std::vector<int64_t> &chunks) {
    std::vector<int32_t> prompt = reference.greedy();
    prompt.resize(13);
    return runGreedy(session, prompt, 48, chunks);
  }
  /// The largest error of a test stands in its record.
  void TearDown() override {
    std::ostringstream text;
    text << worst;
    RecordProperty("error", text.str());
  }

  const Model &golden = model(GetParam().model);
  tokenset::Plan plan = planOf(GetParam());
  Reference reference{golden};
  double worst = 0;
};

} // namespace

TEST_P(GoldenTest, OneStep) {
  Session session = createSession(golden, plan);
  for (int64_t length : Reference::lengths())
    expectClose(runAtOnce(session, reference.tokens(length)),
                reference.output(length), "length " + std::to_string(length));
}

TEST_P(GoldenTest, Placements) {
  for (const tokenset::Plan &placed : placements(plan, 3, 1)) {
    SCOPED_TRACE(describePlacement(placed));
    Session session = createSession(golden, placed);
    for (int64_t length : {2, 64, 173})
      expectClose(runAtOnce(session, reference.tokens(length)),
                  reference.output(length), "length " + std::to_string(length));
    if (!reference.greedy().empty()) {
      EXPECT_EQ(continueGreedily(session, {13}), reference.greedy());
    }
  }
}

// C5: any split into steps gives the same rows within the bound, and the same
// greedy tokens.
TEST_P(GoldenTest, Steps) {
  Session session = createSession(golden, plan, {.largestStep = 100});
  if (reference.greedy().empty()) {
    std::vector<int32_t> tokens = reference.tokens(13);
    ASSERT_TRUE(session.step(tokens, 0));
    auto more = session.step(tokens, 13);
    ASSERT_FALSE(more);
    EXPECT_EQ(more.error().message, "a bidirectional model takes one step from "
                                    "position 0, not from 13");
    return;
  }
  std::vector<int32_t> tokens = reference.tokens(173);
  std::vector<float> output = reference.output(173);
  for (const std::vector<int64_t> &chunks :
       {std::vector<int64_t>{173}, {7, 5, 1, 40, 2, 3}, {1}, {64, 13}})
    expectClose(runInSteps(session, tokens, chunks), output,
                "steps of " + std::to_string(chunks[0]) + ", ...");
  for (const std::vector<int64_t> &chunks :
       {std::vector<int64_t>{13}, {7, 5, 1}, {1}})
    EXPECT_EQ(continueGreedily(session, chunks), reference.greedy())
        << "steps of " << chunks[0] << ", ...";
}

// C5: a step at a position below the length forgets what came at or after it.
TEST_P(GoldenTest, GoingBack) {
  if (reference.greedy().empty())
    GTEST_SKIP() << "bidirectional models take one step";
  Session session = createSession(golden, plan);
  std::vector<int32_t> tokens = reference.tokens(64),
                       others = reference.tokens(173);
  std::vector<float> output = reference.output(64);
  size_t width = output.size() / tokens.size();
  for (size_t position : {63, 40, 41, 7, 1, 0}) {
    SCOPED_TRACE("position " + std::to_string(position));
    // The right tokens up to the position, wrong ones behind it.
    std::vector<int32_t> mixed(others);
    std::copy_n(tokens.begin(), position, mixed.begin());
    runInSteps(session, mixed, {80, 1, 30});
    ASSERT_EQ(session.length(), 173);
    auto rows = session.step(std::span(tokens).subspan(position), position,
                             runtime::Want::All);
    ASSERT_TRUE(rows) << rows.error().message;
    EXPECT_EQ(session.length(), 64);
    expectClose({rows->data, static_cast<size_t>(rows->rows * rows->width)},
                std::span(output).subspan(position * width), "rows behind it");
    EXPECT_FALSE(session.step(std::span(tokens).first(1), 65));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTest, testing::ValuesIn(subjects()),
                         [](const auto &info) { return nameOf(info.param); });
