//===- DeterminismTest.cpp - the same bytes and the same bits (C9) --------===//

#include "Compiled.h"
#include "rshard/runtime/Pool.h"
#include "rshard/tokenset/RowOrder.h"
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

using namespace rshard;
using namespace rshard::integration;
using runtime::Session;

namespace {

class DeterminismTest : public testing::TestWithParam<Model> {
protected:
  ~DeterminismTest() override { runtime::setThreads(0); }

  /// Everything a session says about a prompt: every row, and greedy tokens.
  std::vector<float> answer(Session &session) {
    std::vector<int32_t> tokens = reference.tokens(173);
    std::vector<float> rows = runAtOnce(session, tokens);
    if (!reference.greedy().empty()) {
      std::vector<float> more = runInSteps(session, tokens, {90, 1, 30, 1});
      rows.insert(rows.end(), more.begin(), more.end());
    }
    return rows;
  }
  const Model &golden = model(GetParam().name);
  Reference reference{golden};
};

std::string readAll(const std::filesystem::path &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool sameBytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

} // namespace

TEST_P(DeterminismTest, ThreadsAndRunsGiveTheSameBits) {
  tokenset::Plan plan = makePlan("figure", 1, 0);
  for (const tokenset::Plan &placed : placements(plan, 1, 3)) {
    SCOPED_TRACE(describePlacement(placed));
    runtime::setThreads(1);
    Session session = createSession(golden, placed);
    std::vector<float> first = answer(session);
    EXPECT_EQ(answer(session), first) << "the same session again";
    for (int threads : {2, 5}) {
      runtime::setThreads(threads);
      EXPECT_EQ(answer(session), first) << threads << " threads";
      Session other = createSession(golden, placed);
      EXPECT_EQ(answer(other), first)
          << "another session, " << threads << " threads";
    }
  }
}

// The figure's plan merges in another order than one cell does: not the same
// bits, but within the bound of each other.
TEST_P(DeterminismTest, PlacementsAgreeWithinTheBound) {
  tokenset::Plan plan = makePlan("figure");
  Session apart = createSession(golden, plan);
  std::vector<float> expected = answer(apart);
  for (const tokenset::Plan &placed : placements(plan, 4, 5)) {
    SCOPED_TRACE(describePlacement(placed));
    Session session = createSession(golden, placed);
    EXPECT_LT(relativeError(answer(session), expected), kBound);
  }
}

TEST_P(DeterminismTest, CompilingTwiceGivesTheSameBytes) {
  tokenset::Plan plan = makePlan("figure", 1, 0);
  std::filesystem::path directory = scratchDirectory();
  Compilation first = compile(golden.directory, plan, directory / "first"),
              second = compile(golden.directory, plan, directory / "second");
  ASSERT_EQ(first.artifact, directory / "first") << first.diagnostics;
  ASSERT_EQ(second.artifact, directory / "second") << second.diagnostics;
  std::string bytes = readAll(first.artifact);
  EXPECT_FALSE(bytes.empty());
  EXPECT_TRUE(bytes == readAll(second.artifact));
}

// Code asks route tables where rows go: it is the same for every placement,
// grid and number of nodes, and only the plan beside it differs. The code of
// one cell has no merges.
TEST_P(DeterminismTest, CodeDoesNotDependOnThePlan) {
  const runtime::Artifact &figure = artifactOf(golden, makePlan("figure"));
  for (const NamedPlan &named : plans()) {
    tokenset::Plan plan = makePlan(named.name);
    EXPECT_EQ(sameBytes(artifactOf(golden, plan).host(), figure.host()),
              !tokenset::keepsRowOrder(plan))
        << named.name;
  }
  tokenset::Plan placed = placeRandomly(makePlan("figure"), 11);
  Compilation compiled =
      compile(golden.directory, placed, scratchDirectory() / "placed");
  ASSERT_FALSE(compiled.artifact.empty()) << compiled.diagnostics;
  auto artifact = runtime::Artifact::open(compiled.artifact);
  ASSERT_TRUE(artifact) << artifact.error().message;
  EXPECT_TRUE(sameBytes(artifact->host(), figure.host()));
  runtime::Manifest expected = artifactOf(golden, placed).manifest();
  expected.hashes.ir = artifact->manifest().hashes.ir;
  EXPECT_EQ(artifact->manifest().toJson(), expected.toJson());
  EXPECT_NE(artifact->manifest().hashes.ir, figure.manifest().hashes.ir);
}

INSTANTIATE_TEST_SUITE_P(Models, DeterminismTest, testing::ValuesIn(models()),
                         [](const auto &info) {
                           return identifier(info.param.name);
                         });
