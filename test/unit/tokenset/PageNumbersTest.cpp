// The numbers printed in docs/privacy.md and docs/frame.md are the library's.

#include "rshard/tokenset/ClusterRule.h"
#include "rshard/tokenset/Routes.h"
#include "rshard/tokenset/Views.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>

using namespace rshard::tokenset;

namespace {

/// The lines of a page that match, as their groups.
std::vector<std::smatch> matchRows(const std::string &page, const char *pattern,
                                   std::vector<std::string> &lines) {
  std::ifstream in(std::string(RSHARD_SOURCE_DIR "/docs/") + page);
  EXPECT_TRUE(in) << page << " is missing";
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  std::vector<std::smatch> found;
  std::regex expression(pattern);
  for (const std::string &line : lines) {
    std::smatch match;
    if (std::regex_search(line, match, expression))
      found.push_back(match);
  }
  return found;
}

TEST(PrivacyPage, numbersAreTheLibrarys) {
  std::vector<std::string> lines;
  auto rows =
      matchRows("privacy.md",
                R"(^\| (\d+), (\d+x\d+), (\d+), (\d+)(?:, group (\d+))?.* \|)"
                R"( (\d+) % \| (\d+), (\d+) \| (\d+) of (\d+) \|$)",
                lines);
  EXPECT_EQ(rows.size(), 6u);
  for (const std::smatch &row : rows) {
    ClusterRule rule;
    rule.comp = std::stoll(row[1].str());
    rule.attn = *parseGridShape(row[2].str());
    rule.cluster = std::stoll(row[3].str());
    rule.period = std::stoll(row[4].str());
    if (row[5].matched)
      rule.group = std::stoll(row[5].str());
    auto plan = makePlan(rule);
    ASSERT_TRUE(plan) << plan.error().message;
    Position length = 64 * *rule.period;
    auto views = nodeViews(*plan, length);
    int64_t largest = 0, weakestComp = length, weakestAttn = length, under = 0,
            cells = 0;
    for (const NodeView &view : *views) {
      largest = std::max(largest, view.visible);
      bool comp = view.node <= plan->comps();
      int64_t &weakest = comp ? weakestComp : weakestAttn;
      weakest = std::min(weakest, view.largestGap);
      cells += !comp;
      under += !comp && view.largestGap < 3;
    }
    EXPECT_EQ((100 * largest + length / 2) / length, std::stoll(row[6].str()))
        << row.str();
    EXPECT_EQ(weakestComp, std::stoll(row[7].str())) << row.str();
    EXPECT_EQ(weakestAttn, std::stoll(row[8].str())) << row.str();
    EXPECT_EQ(under, std::stoll(row[9].str())) << row.str();
    EXPECT_EQ(cells, std::stoll(row[10].str())) << row.str();
  }
}

TEST(FramePage, capacitiesAreTheLibrarys) {
  std::vector<std::string> lines;
  auto rows =
      matchRows("frame.md",
                R"(^\| (client|comp\(0\)|attn\(0,0\)) \| (\d+) \| (\d+) \|)"
                R"( (\d+) \| (\d+) / (\d+) \| (\d+) / (\d+) \|)"
                R"( (\d+) / (\d+) \| (\d+) / (\d+) \| (\d+) / (\d+) \|$)",
                lines);
  EXPECT_EQ(rows.size(), 3u);
  Plan plan = *makePlan({});
  for (const std::smatch &row : rows) {
    int32_t node = 0;
    while (node < plan.nodes() && plan.nodeName(node) != row[1].str())
      ++node;
    RouteBounds b = *routeBounds(plan, 64, 16, plan.ranks[node]);
    std::vector<int64_t> expected,
        actual = {b.comp,      b.query,       b.cache,       b.poolEnter,
                  b.sendEnter, b.poolQuery,   b.sendQuery,   b.poolKey,
                  b.sendKey,   b.poolPartial, b.sendPartial, b.poolLeave,
                  b.sendLeave};
    for (size_t i = 2; i < row.size(); ++i)
      expected.push_back(std::stoll(row[i].str()));
    EXPECT_EQ(actual, expected) << row.str();
  }
}

} // namespace
