// What the verifiers say of tables that are broken at one place.

#include "rshard/tokenset/ClusterRule.h"
#include "rshard/tokenset/Verify.h"

#include <algorithm>
#include <functional>
#include <gtest/gtest.h>

using namespace rshard::tokenset;

namespace {

/// All ranks of the figure's plan, one for each node, in the step of its
/// prompt.
class VerifyMessages : public testing::Test {
protected:
  void SetUp() override {
    auto plan = *makePlan({});
    for (int32_t rank = 0; rank < plan.rankCount(); ++rank) {
      auto routes = Routes::create(plan, {Mask::causal()}, 32, 32, rank);
      ASSERT_TRUE(bool(routes));
      for (const std::string &name : RouteTables::names(1))
        routes->want(name);
      ASSERT_TRUE(bool(routes->fill({0, 14, 14})));
      ranks.push_back(std::move(*routes));
    }
    ASSERT_TRUE(bool(verifyMatching(ranks)));
    ASSERT_TRUE(bool(verifyCoverage(ranks)));
  }

  using Verifier = Expected<void>(const std::vector<Routes> &);
  /// What `verify` says when `change` has been made to the tables of `rank`,
  /// which are const for everybody but tests.
  std::string broken(Verifier *verify, int32_t rank,
                     const std::function<void(RouteTables &)> &change) {
    auto &tables = const_cast<RouteTables &>(ranks[rank].tables());
    RouteTables good = tables;
    change(tables);
    auto status = verify(ranks);
    tables = std::move(good);
    return status ? "" : status.error().message;
  }
  std::string coverage(int32_t rank,
                       const std::function<void(MaskTables &)> &change) {
    return broken(verifyCoverage, rank,
                  [&](RouteTables &tables) { change(tables.masks[0]); });
  }
  std::string matching(int32_t rank,
                       const std::function<void(MaskTables &)> &change) {
    return broken(verifyMatching, rank,
                  [&](RouteTables &tables) { change(tables.masks[0]); });
  }

  std::vector<Routes> ranks;
};

// Ranks 1 to 4 are the CompNodes, rank 5 is attn(0,0).

TEST_F(VerifyMessages, Cells) {
  EXPECT_EQ(coverage(5, [](MaskTables &t) { t.cellFirst[0] = 0; }),
            "C2: mask 0 at rank 5: cell 0 is not attn(0,0)");
  EXPECT_EQ(coverage(5, [](MaskTables &t) { t.cellRow.push_back(0); }),
            "C2: mask 0 at rank 5: 2 cells are listed, 1 live here");
}

TEST_F(VerifyMessages, Queries) {
  EXPECT_EQ(coverage(5, [](MaskTables &t) { ++t.queryBegin[1]; }),
            "C2: mask 0 at rank 5: the query tables do not fit together");
  EXPECT_EQ(coverage(5, [](MaskTables &t) { t.queryPosition[1] = 1; }),
            "C2: mask 0 at rank 5: grid row 0 has position 1, which is not due "
            "there");
  EXPECT_EQ(coverage(5, [](MaskTables &t) { t.queryPosition[1] = 3; }),
            "C2: mask 0 at rank 5: grid row 0 lacks position 2");
}

TEST_F(VerifyMessages, Caches) {
  EXPECT_EQ(coverage(5, [](MaskTables &t) { t.cacheLength.clear(); }),
            "C2: mask 0 at rank 5: the cache tables do not fit together");
  EXPECT_EQ(coverage(5, [](MaskTables &t) { t.cacheLength[0] = -1; }),
            "C2: mask 0 at rank 5: column 0 caches -1 of at most 10 rows");
  EXPECT_EQ(
      coverage(5, [](MaskTables &t) { t.cachePosition[0] = 1; }),
      "C2: mask 0 at rank 5: the cache of grid column 0 lacks position 0");
}

TEST_F(VerifyMessages, Merges) {
  EXPECT_EQ(coverage(1, [](MaskTables &t) { t.mergeBegin.pop_back(); }),
            "C3: mask 0 at rank 1: the merge tables do not fit together");
  EXPECT_EQ(coverage(1, [](MaskTables &t) { t.mergeSource[1] = 0; }),
            "C3: mask 0 at rank 1: partial 0 of 11 does not exist or is merged "
            "twice");
  EXPECT_EQ(coverage(1,
                     [](MaskTables &t) {
                       std::swap(t.mergeSource.end()[-1],
                                 t.mergeSource.end()[-2]);
                     }),
            "C3: mask 0 at rank 1: position 8 merges the partials of other "
            "ranks, or in another order, than its grid row holds");
}

TEST_F(VerifyMessages, Reach) {
  EXPECT_EQ(coverage(5, [](MaskTables &t) { t.hasReach = false; }),
            "C2: mask 0 at rank 5: the reach tables are not empty, nobody "
            "wants them");
  EXPECT_EQ(coverage(5, [](MaskTables &t) { t.reachLast.pop_back(); }),
            "C2: mask 0 at rank 5: the reach tables do not fit together");
  EXPECT_EQ(
      coverage(5,
               [](MaskTables &t) {
                 --t.reachBegin[1];
                 t.reachFirst.pop_back();
                 t.reachLast.pop_back();
               }),
      "C2: mask 0 at rank 5: cell 0 reaches for 3 queries, its grid row has 4");
  EXPECT_EQ(coverage(5, [](MaskTables &t) { ++t.reachLast[1]; }),
            "C2: mask 0 at rank 5: in cell 0 position 2 is shown cached rows "
            "[0,3), it sees [0,2)");
  EXPECT_EQ(coverage(0, [](MaskTables &t) { ++t.clientReachLast[1]; }),
            "C2: mask 0 at rank 0: the client's queries are shown other "
            "positions than they see");
}

TEST_F(VerifyMessages, Pools) {
  EXPECT_EQ(matching(5, [](MaskTables &t) { t.querySource[1] = 0; }),
            "C6: up0 tensor 0 at rank 5: row 0 is read as position 2, it holds "
            "position 0");
  EXPECT_EQ(matching(5, [](MaskTables &t) { t.appendRow[0] = 99; }),
            "C6: up0 tensor 1 at rank 5: cache row 99 of 4 is appended to");
  EXPECT_EQ(
      matching(5, [](MaskTables &t) { t.cacheLength.clear(); }),
      "C6: up0 tensor 1 at rank 5: the append tables do not fit together");
}

TEST_F(VerifyMessages, Messages) {
  auto swapFirst = [](MaskTables &t) {
    std::swap_ranges(t.upTransfer.begin(),
                     t.upTransfer.begin() + Transfer::kFields,
                     t.upTransfer.begin() + Transfer::kFields);
  };
  EXPECT_EQ(matching(1, swapFirst), "C6: up0: entry 1 of rank 1 is not in "
                                    "order of source, destination, tensor");
  EXPECT_EQ(matching(5,
                     [](MaskTables &t) {
                       t.upTransfer.erase(t.upTransfer.begin(),
                                          t.upTransfer.begin() +
                                              Transfer::kFields);
                     }),
            "C6: up0 tensor 0 at rank 5: receives 2 rows from rank 2 into row "
            "2 of the pool, expected row 0");
  // The last query rows that comp(0) sends: where its entry begins.
  auto lastQueries = [](const IndexList &table) {
    size_t last = 0;
    for (size_t i = 0; i < transferCount(table); ++i)
      if (Transfer t = transferAt(table, i); t.isSend && t.tensor == 0)
        last = i;
    return table.begin() + last * Transfer::kFields;
  };
  EXPECT_EQ(matching(1,
                     [&](MaskTables &t) {
                       auto at = lastQueries(t.upTransfer);
                       t.upQueryPack.resize(t.upQueryPack.size() - at[4]);
                       t.upTransfer.erase(at, at + Transfer::kFields);
                     }),
            "C6: up0 tensor 0 from rank 1 to rank 12: a receive has no send");
  EXPECT_EQ(
      matching(1,
               [&](MaskTables &t) {
                 auto at = lastQueries(t.upTransfer);
                 ++t.upTransfer[at - t.upTransfer.begin() + 4];
                 t.upQueryPack.push_back(0);
               }),
      "C6: up0 tensor 0 from rank 1 to rank 12: 2 rows are sent, 1 received");
  EXPECT_EQ(matching(1,
                     [&](MaskTables &t) {
                       std::swap(t.upQueryPack[0], t.upQueryPack[1]);
                     }),
            "C6: up0 tensor 0 from rank 1 to rank 5: row 0 holds position 7, "
            "it is read as position 0");
  EXPECT_EQ(matching(5,
                     [](MaskTables &t) {
                       --t.appendBegin.back();
                       t.appendSource.pop_back();
                       t.appendRow.pop_back();
                     }),
            "C6: up0 tensor 1 from rank 2 to rank 5: row 1 holds position 9, "
            "which nobody reads");
  std::swap(ranks[0], ranks[1]);
  EXPECT_EQ(verifyMatching(ranks).error().message,
            "C6: entry 0 of 21 has the routes of rank 1 of a plan with 21");
}

} // namespace
