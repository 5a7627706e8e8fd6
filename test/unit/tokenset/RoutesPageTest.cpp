// The tables printed in docs/routes.md are the library's.

#include "rshard/tokenset/ClusterRule.h"
#include "rshard/tokenset/Routes.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

using namespace rshard::tokenset;

namespace {

constexpr Position kCapacity = 64;

/// Runs every step of the page up to the one at `position`; an empty table
/// where there is none of that name.
IndexList tableOfStep(int64_t ranks, int32_t rank, const Step &step,
                      const std::string &name) {
  ClusterRule rule;
  if (ranks)
    rule.ranks = ranks;
  auto routes = Routes::create(*makePlan(rule), {Mask::causal()}, kCapacity,
                               kCapacity, rank);
  const IndexList *table = routes->want(name);
  if (step.position)
    EXPECT_TRUE(routes->fill({0, step.position, 1}));
  EXPECT_TRUE(routes->fill(step));
  EXPECT_NE(table, nullptr) << "no table " << name;
  return table ? *table : IndexList();
}

/// `name 1 2 3`, or `name 1 2 ...` for the beginning of a table.
void compareLine(const std::string &line, int64_t ranks, int32_t rank,
                 const Step &step) {
  std::istringstream words(line);
  std::string name, word;
  words >> name;
  IndexList expected;
  bool beginning = false;
  while (words >> word) {
    beginning = word == "...";
    if (!beginning)
      expected.push_back(std::stoi(word));
  }
  IndexList actual = tableOfStep(ranks, rank, step, name);
  if (beginning && actual.size() > expected.size())
    actual.resize(expected.size());
  EXPECT_EQ(actual, expected) << "rank " << rank << ": " << line;
}

TEST(RoutesPage, tablesAreTheLibrarys) {
  std::ifstream page(RSHARD_SOURCE_DIR "/docs/routes.md");
  ASSERT_TRUE(page) << "docs/routes.md is missing";
  std::string line;
  bool inside = false;
  int64_t ranks = 0;
  int32_t rank = 0;
  Step step;
  int compared = 0;
  while (std::getline(page, line)) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == "```routes" || word == "```") {
      inside = word != "```";
      ranks = 0;
    } else if (inside && word == "ranks") {
      words >> ranks;
    } else if (inside && word == "step") {
      words >> step.position >> step.rows >> word >> rank;
      EXPECT_EQ(word, "rank") << line;
    } else if (inside) {
      compareLine(line, ranks, rank, step);
      ++compared;
    }
  }
  EXPECT_GT(compared, 30);
}

} // namespace
