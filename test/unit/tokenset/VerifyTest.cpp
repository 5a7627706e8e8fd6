// The verifiers accept what the library makes, and catch every way that the
// generator below knows to break it.

#include "rshard/tokenset/Verify.h"
#include "RandomPlans.h"
#include "rshard/tokenset/ClusterRule.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

using namespace rshard::tokenset;
using namespace rshard::tokenset::test;

namespace {

std::vector<Routes> allRanks(const Plan &plan, const std::vector<Mask> &masks,
                             int64_t capacity) {
  std::vector<Routes> ranks;
  for (int32_t rank = 0; rank < plan.rankCount(); ++rank) {
    auto routes = Routes::create(plan, masks, capacity, capacity, rank);
    RC_ASSERT(bool(routes));
    ranks.push_back(std::move(*routes));
  }
  return ranks;
}

std::string verdict(const std::vector<Routes> &ranks) {
  if (auto status = verifyMatching(ranks); !status)
    return status.error().message;
  if (auto status = verifyCoverage(ranks); !status)
    return status.error().message;
  return "";
}

RC_GTEST_PROP(Verify, acceptsEveryStep, ()) {
  Plan plan = drawPlan();
  std::vector<Mask> masks = drawMasks();
  int64_t capacity = draw(1, 40);
  RC_ASSERT(bool(verifyOwnership(plan, capacity)));
  RC_ASSERT(bool(verifyCoverage(plan, capacity)));
  std::vector<Routes> ranks = allRanks(plan, masks, capacity);
  for (Routes &routes : ranks)
    drawWants(routes);
  for (const Step &step : drawSteps(masks, capacity, capacity)) {
    for (Routes &routes : ranks)
      RC_ASSERT(bool(routes.fill(step)));
    RC_ASSERT(verdict(ranks) == "");
  }
}

RC_GTEST_PROP(Verify, everyVisiblePairHasOneCell, ()) {
  // C2 from the tables as a kernel reads them: queries of a cell's grid row
  // times cached keys of its column.
  Plan plan = drawPlan();
  std::vector<Mask> masks = drawMasks();
  int64_t capacity = draw(1, 30);
  std::vector<Routes> ranks = allRanks(plan, masks, capacity);
  for (const Step &step : drawSteps(masks, capacity, capacity)) {
    for (Routes &routes : ranks)
      RC_ASSERT(bool(routes.fill(step)));
    for (size_t c = 0; c < masks.size(); ++c) {
      std::map<std::pair<Position, Position>, int> cells;
      for (const Routes &routes : ranks) {
        const MaskTables &t = routes.tables().masks[c];
        for (size_t cell = 0; cell < t.cellRow.size(); ++cell) {
          int32_t row = t.cellRow[cell], column = t.cellColumn[cell];
          for (int32_t i = t.queryBegin[row]; i < t.queryBegin[row + 1]; ++i)
            for (int32_t x = 0; x < t.cacheLength[column]; ++x) {
              Position q = t.queryPosition[i];
              Position key =
                  t.cachePosition[column * routes.bounds().cache + x];
              if (masks[c].visible(q, key))
                ++cells[{q, key}];
            }
        }
      }
      Position end = step.position + step.rows;
      for (Position q = step.position; q < end; ++q)
        for (Position key = 0; key < end; ++key)
          RC_ASSERT((cells[{q, key}]) == masks[c].visible(q, key));
    }
  }
}

/// Breaks one entry of a table in one of five ways; false if nothing changed.
bool breakTable(IndexList &table, size_t used) {
  IndexList before = table;
  if (used == 0) {
    if (table.empty())
      table.push_back(int32_t(draw(0, 3)));
    return table != before;
  }
  size_t at = draw(0, int64_t(used) - 1);
  switch (draw(0, 4)) {
  case 0:
    table[at] += draw(0, 1) ? 1 : -1;
    break;
  case 1:
    table[at] = int32_t(draw(-2, 40));
    break;
  case 2:
    std::swap(table[at], table[draw(0, int64_t(used) - 1)]);
    break;
  case 3:
    table.erase(table.begin() + at);
    break;
  default:
    table.insert(table.begin() + at, table[at]);
  }
  return table != before;
}

RC_GTEST_PROP(Verify, catchesEveryBrokenEntry, ()) {
  Plan plan = drawPlan();
  std::vector<Mask> masks = drawMasks();
  int64_t capacity = draw(1, 30);
  std::vector<Routes> ranks = allRanks(plan, masks, capacity);
  for (Routes &routes : ranks)
    drawWants(routes);
  for (const Step &step : drawSteps(masks, capacity, capacity))
    for (Routes &routes : ranks)
      RC_ASSERT(bool(routes.fill(step)));
  Routes &broken = ranks[draw(0, int64_t(ranks.size()) - 1)];
  auto names = RouteTables::names(masks.size());
  std::string name = names[draw(0, int64_t(names.size()) - 1)];
  // Tables are const for everybody but this test.
  IndexList &table = const_cast<IndexList &>(*broken.tables().find(name));
  size_t used = table.size();
  if (name.starts_with("cache") && name.ends_with("position")) {
    // Entries beyond the cached length mean nothing.
    const IndexList &length =
        *broken.tables().find("cache" + name.substr(5, 1) + ".length");
    used = length.empty() ? 0 : length[0];
    if (used == 0)
      return;
  }
  if (!breakTable(table, used))
    return;
  RC_LOG() << name << " at rank " << broken.rank();
  RC_ASSERT(verdict(ranks) != "");
}

RC_GTEST_PROP(Verify, catchesLostMessages, ()) {
  // Whole entries vanish, on one side or on both.
  Plan plan = drawPlan();
  std::vector<Mask> masks = drawMasks();
  std::vector<Routes> ranks = allRanks(plan, masks, 30);
  Step step{0, draw(1, 30), 1};
  std::vector<IndexList *> tables;
  for (Routes &routes : ranks) {
    RC_ASSERT(bool(routes.fill(step)));
    for (const std::string &name : RouteTables::names(masks.size()))
      if (name.ends_with("transfer"))
        if (const IndexList *table = routes.tables().find(name);
            !table->empty())
          tables.push_back(const_cast<IndexList *>(table));
  }
  if (tables.empty())
    return;
  IndexList &table = *tables[draw(0, int64_t(tables.size()) - 1)];
  int64_t at = draw(0, int64_t(transferCount(table)) - 1) * Transfer::kFields;
  table.erase(table.begin() + at, table.begin() + at + Transfer::kFields);
  RC_ASSERT(verdict(ranks) != "");
}

TEST(Verify, namesTheEdge) {
  auto plan = *makePlan({});
  std::vector<Routes> ranks = allRanks(plan, {Mask::causal()}, 32);
  for (Routes &routes : ranks)
    ASSERT_TRUE(bool(routes.fill({0, 14, 1})));
  ASSERT_EQ(verdict(ranks), "");
  // comp(0) is rank 1; its first message goes to attn(0,0), rank 5.
  auto &table = const_cast<IndexList &>(ranks[5].tables().masks[0].upTransfer);
  table.erase(table.begin(), table.begin() + Transfer::kFields);
  EXPECT_EQ(verdict(ranks).substr(0, 29), "C6: up0 tensor 0 at rank 5: r");
  for (Routes &routes : ranks)
    ASSERT_TRUE(bool(routes.fill({0, 14, 1})));
  auto &sends = const_cast<IndexList &>(ranks[0].tables().enterTransfer);
  sends.erase(sends.begin(), sends.end() - Transfer::kFields);
  EXPECT_EQ(verdict(ranks), "C6: enter tensor 0 from rank 0 to rank 4: is sent "
                            "from row 12 of the staging buffer, expected row "
                            "0");
}

TEST(Verify, lengthBeyondFiniteSets) {
  auto plan = parsePlan(
      R"j({"R": ["[0,9)"], "S": ["[0,8)"], "T": ["period 1: [0,1)"]})j");
  ASSERT_TRUE(bool(plan));
  EXPECT_TRUE(bool(verifyOwnership(*plan, 8)));
  EXPECT_EQ(verifyOwnership(*plan, 10).error().message,
            "C1: position 9 is owned by no set of R");
  EXPECT_EQ(verifyCoverage(*plan, 9).error().message,
            "C2: a query or key is in no cell or in two: C1: position 8 is "
            "owned by no set of S");
  plan->ranks.pop_back();
  EXPECT_FALSE(verifyCoverage(*plan, 8));
}

} // namespace
