// Routes of all ranks against token-by-token brute force: every message is
// carried by hand, as labels, and must arrive where the definitions want it.

#include "RandomPlans.h"
#include "rshard/tokenset/ClusterRule.h"
#include "rshard/tokenset/RowOrder.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <numeric>

using namespace rshard::tokenset;
using namespace rshard::tokenset::test;

namespace {

/// A label says which row this is: its position, and for partials the rank that
/// computed it.
struct Label {
  Position position = -1;
  int32_t rank = -1;
  bool operator==(const Label &) const = default;
  auto operator<=>(const Label &) const = default;
};
using Labels = std::vector<Label>;

/// One side of one tensor of an exchange on one rank.
struct Side {
  const IndexList *transfers;
  const IndexList *pack;
  Labels own; // what the pack indexes, and the first rows of the pool
  int64_t sendBound;
  int64_t poolBound;
};

/// Carries one tensor between all ranks; returns the pool of each. Checks C6 on
/// the way.
std::vector<Labels> carry(const std::vector<Side> &ranks, int32_t tensor) {
  std::map<std::pair<int32_t, int32_t>, Labels> wire;
  for (int32_t a = 0; a < int32_t(ranks.size()); ++a) {
    const Side &side = ranks[a];
    RC_ASSERT(int64_t(side.pack->size()) <= side.sendBound);
    int32_t sent = 0;
    for (size_t i = 0; i < transferCount(*side.transfers); ++i) {
      Transfer t = transferAt(*side.transfers, i);
      RC_ASSERT(t.peer != a && t.count > 0);
      if (!t.isSend || t.tensor != tensor)
        continue;
      RC_ASSERT(t.begin == sent);
      sent += t.count;
      Labels &message = wire[{a, t.peer}];
      RC_ASSERT(message.empty());
      for (int32_t row = t.begin; row < sent; ++row)
        message.push_back(side.own.at(side.pack->at(row)));
    }
    RC_ASSERT(size_t(sent) == side.pack->size());
  }
  std::vector<Labels> pools;
  for (int32_t b = 0; b < int32_t(ranks.size()); ++b) {
    const Side &side = ranks[b];
    Labels pool = side.own;
    for (size_t i = 0; i < transferCount(*side.transfers); ++i) {
      Transfer t = transferAt(*side.transfers, i);
      if (t.isSend || t.tensor != tensor)
        continue;
      RC_ASSERT(size_t(t.begin) == pool.size());
      auto message = wire.extract({t.peer, b});
      RC_ASSERT(!message.empty());
      RC_ASSERT(message.mapped().size() == size_t(t.count));
      pool.insert(pool.end(), message.mapped().begin(), message.mapped().end());
    }
    RC_ASSERT(int64_t(pool.size()) <= side.poolBound);
    pools.push_back(std::move(pool));
  }
  RC_ASSERT(wire.empty());
  return pools;
}

void checkSorted(const IndexList &table, int32_t rank) {
  std::vector<std::tuple<int32_t, int32_t, int32_t>> keys;
  for (size_t i = 0; i < transferCount(table); ++i) {
    Transfer t = transferAt(table, i);
    keys.push_back(
        {t.isSend ? rank : t.peer, t.isSend ? t.peer : rank, t.tensor});
  }
  RC_ASSERT(std::is_sorted(keys.begin(), keys.end()));
  RC_ASSERT(std::adjacent_find(keys.begin(), keys.end()) == keys.end());
}

Labels label(const IndexList &positions, int32_t rank = -1) {
  Labels labels;
  for (int32_t p : positions)
    labels.push_back({p, rank});
  return labels;
}

/// All ranks of a plan, and what their caches hold.
class Machine {
public:
  Machine(const Plan &plan, std::vector<Mask> masks, int64_t capacity,
          int64_t largest)
      : plan(plan), masks(masks), capacity(capacity) {
    for (int32_t rank = 0; rank < plan.rankCount(); ++rank) {
      auto routes = Routes::create(plan, masks, capacity, largest, rank);
      RC_ASSERT(bool(routes));
      drawWants(*routes);
      ranks.push_back(std::move(*routes));
    }
    caches.resize(masks.size() * ranks.size());
  }

  void run(Step next) {
    step = next;
    for (Routes &routes : ranks) {
      auto status = routes.fill(step);
      RC_ASSERT(bool(status));
      RC_ASSERT(routes.length() == step.position + step.rows);
    }
    if (plan.clientLast > 0)
      step.wanted = step.rows;
    hidden();
    for (size_t c = 0; c < masks.size(); ++c) {
      BruteForce truth{plan, masks[c], capacity, step};
      for (const Routes &routes : ranks) {
        checkSorted(routes.tables().masks[c].upTransfer, routes.rank());
        checkSorted(routes.tables().masks[c].downTransfer, routes.rank());
      }
      queries(c, truth);
      keys(c, truth);
      partials(c, truth);
      reach(c, truth);
    }
  }

private:
  template <typename Fn> std::vector<Side> sides(Fn &&fn) {
    std::vector<Side> list;
    for (const Routes &routes : ranks)
      list.push_back(fn(routes, routes.tables(), routes.bounds()));
    return list;
  }

  void hidden() {
    Position end = step.position + step.rows;
    auto entered = carry(
        sides([](const Routes &, const RouteTables &t, const RouteBounds &b) {
          return Side{&t.enterTransfer, &t.enterPack, label(t.clientPosition),
                      b.sendEnter, b.poolEnter};
        }),
        0);
    auto left = carry(
        sides([](const Routes &, const RouteTables &t, const RouteBounds &b) {
          return Side{&t.leaveTransfer, &t.leavePack, label(t.compPosition),
                      b.sendLeave, b.poolLeave};
        }),
        0);
    for (const Routes &routes : ranks) {
      const RouteTables &t = routes.tables();
      bool client = plan.ranks[0] == routes.rank();
      checkSorted(t.enterTransfer, routes.rank());
      checkSorted(t.leaveTransfer, routes.rank());
      IndexList all, rows, begin = {0}, wanted;
      for (Position p = step.position; p < end; ++p)
        all.push_back(int32_t(p));
      for (int32_t i = 0; i < plan.comps(); ++i) {
        if (plan.ranks[plan.compNode(i)] != routes.rank())
          continue;
        for (int32_t p : all)
          if (plan.R[i].contains(p))
            rows.push_back(p);
        begin.push_back(int32_t(rows.size()));
      }
      wanted.assign(all.end() - step.wanted, all.end());
      RC_ASSERT(t.clientPosition == (client ? all : IndexList()));
      RC_ASSERT(t.compPosition == rows);
      RC_ASSERT(t.compBegin == begin);
      RC_ASSERT(int64_t(rows.size()) <= routes.bounds().comp);
      RC_ASSERT(t.enterSource.size() == rows.size());
      for (size_t x = 0; x < rows.size(); ++x)
        RC_ASSERT(entered[routes.rank()].at(t.enterSource[x]).position ==
                  rows[x]);
      RC_ASSERT(t.leavePosition == (client ? wanted : IndexList()));
      RC_ASSERT(t.leaveSource.size() == t.leavePosition.size());
      for (size_t i = 0; i < t.leaveSource.size(); ++i)
        RC_ASSERT(left[routes.rank()].at(t.leaveSource[i]).position ==
                  wanted[i]);
    }
  }

  void queries(size_t c, const BruteForce &truth) {
    auto pools = carry(
        sides([c](const Routes &, const RouteTables &t, const RouteBounds &b) {
          return Side{&t.masks[c].upTransfer, &t.masks[c].upQueryPack,
                      label(t.compPosition), b.sendQuery, b.poolQuery};
        }),
        0);
    for (const Routes &routes : ranks) {
      const MaskTables &t = routes.tables().masks[c];
      IndexList begin = {0}, positions;
      std::set<Position> foreign;
      for (int32_t j = 0; j < plan.queryShards(); ++j) {
        bool here = false;
        for (int32_t k = 0; k < plan.keyShards(); ++k)
          here |= truth.cellRank(j, k) == routes.rank();
        if (!here)
          continue;
        for (Position q = step.position; q < truth.end(); ++q) {
          bool shown = false;
          for (int32_t k = 0; k < plan.keyShards(); ++k)
            shown |= truth.cellRank(j, k) == routes.rank() && truth.shows(q, k);
          if (plan.S.owner(q) != j || !shown)
            continue;
          positions.push_back(int32_t(q));
          if (truth.compRank(q) != routes.rank())
            foreign.insert(q);
        }
        begin.push_back(int32_t(positions.size()));
      }
      RC_ASSERT(t.queryBegin == begin);
      RC_ASSERT(t.queryPosition == positions);
      RC_ASSERT(t.querySource.size() == positions.size());
      RC_ASSERT(int64_t(positions.size()) <= routes.bounds().query);
      const Labels &pool = pools[routes.rank()];
      for (size_t row = 0; row < positions.size(); ++row)
        RC_ASSERT(pool.at(t.querySource[row]).position == positions[row]);
      // Nothing arrives that is not used, and nothing twice.
      RC_ASSERT(pool.size() ==
                routes.tables().compPosition.size() + foreign.size());
    }
  }

  void keys(size_t c, const BruteForce &truth) {
    std::vector<Labels> pools;
    for (int32_t tensor : {1, 2}) {
      auto carried =
          carry(sides([c](const Routes &, const RouteTables &t,
                          const RouteBounds &b) {
                  return Side{&t.masks[c].upTransfer, &t.masks[c].upKeyPack,
                              label(t.compPosition), b.sendKey, b.poolKey};
                }),
                tensor);
      RC_ASSERT(tensor == 1 || carried == pools);
      pools = std::move(carried);
    }
    for (const Routes &routes : ranks) {
      const MaskTables &t = routes.tables().masks[c];
      auto &cache = caches[c * ranks.size() + routes.rank()];
      size_t column = 0, appended = 0, foreign = 0;
      for (int32_t k = 0; k < plan.keyShards(); ++k) {
        bool here = false;
        for (int32_t j = 0; j < plan.queryShards(); ++j)
          here |= truth.cellRank(j, k) == routes.rank();
        if (!here)
          continue;
        cache.resize(std::max(cache.size(), column + 1));
        Labels &rows = cache[column];
        RC_ASSERT(size_t(t.appendBegin.at(column)) == appended);
        for (; appended < size_t(t.appendBegin.at(column + 1)); ++appended) {
          size_t row = t.appendRow[appended];
          Label got = pools[routes.rank()].at(t.appendSource[appended]);
          RC_ASSERT(row <= rows.size());
          rows.resize(row); // what a truncation forgot is overwritten
          rows.push_back(got);
          foreign += truth.compRank(got.position) != routes.rank();
        }
        rows.resize(t.cacheLength.at(column));
        Labels expected;
        for (Position x = 0; x < truth.end(); ++x)
          if (plan.T.owner(x) == k && truth.cacheRanks(x).count(routes.rank()))
            expected.push_back({x, -1});
        RC_ASSERT(rows == expected);
        int64_t size = routes.bounds().cache;
        RC_ASSERT(int64_t(rows.size()) <= size);
        for (size_t row = 0; row < rows.size(); ++row)
          RC_ASSERT(t.cachePosition.at(column * size + row) ==
                    rows[row].position);
        ++column;
      }
      RC_ASSERT(t.cacheLength.size() == column);
      RC_ASSERT(t.appendBegin.size() == column + 1);
      RC_ASSERT(t.appendSource.size() == appended);
      RC_ASSERT(int64_t(appended) <= routes.bounds().append);
      RC_ASSERT(pools[routes.rank()].size() ==
                routes.tables().compPosition.size() + foreign);
    }
  }

  void partials(size_t c, const BruteForce &truth) {
    std::vector<Labels> pools;
    for (int32_t tensor : {0, 1}) {
      auto carried =
          carry(sides([c](const Routes &routes, const RouteTables &t,
                          const RouteBounds &b) {
                  return Side{&t.masks[c].downTransfer, &t.masks[c].downPack,
                              label(t.masks[c].queryPosition, routes.rank()),
                              b.sendPartial, b.poolPartial};
                }),
                tensor);
      RC_ASSERT(tensor == 0 || carried == pools);
      pools = std::move(carried);
    }
    for (const Routes &routes : ranks) {
      const RouteTables &tables = routes.tables();
      const MaskTables &t = tables.masks[c];
      RC_ASSERT(t.mergeBegin.size() == tables.compPosition.size() + 1);
      RC_ASSERT(int64_t(t.mergeSource.size()) <= routes.bounds().merge);
      for (size_t x = 0; x < tables.compPosition.size(); ++x) {
        Labels got, expected;
        for (int32_t i = t.mergeBegin[x]; i < t.mergeBegin[x + 1]; ++i)
          got.push_back(pools[routes.rank()].at(t.mergeSource[i]));
        for (int32_t rank : truth.mergeRanks(tables.compPosition[x]))
          expected.push_back({tables.compPosition[x], rank});
        RC_ASSERT(got == expected);
      }
    }
  }

  /// The cached rows of each cell that the tables show each query are those
  /// that it sees, and no others.
  void reach(size_t c, const BruteForce &truth) {
    for (const Routes &routes : ranks) {
      const MaskTables &t = routes.tables().masks[c];
      RC_ASSERT(t.hasReach || (t.reachBegin.empty() && t.reachFirst.empty() &&
                               t.reachLast.empty()));
      RC_ASSERT(t.hasClientReach ||
                (t.clientReachFirst.empty() && t.clientReachLast.empty()));
      if (t.hasClientReach) {
        bool client = plan.ranks[0] == routes.rank();
        RC_ASSERT(t.clientReachFirst.size() ==
                  (client ? size_t(step.rows) : 0));
        RC_ASSERT(t.clientReachLast.size() == t.clientReachFirst.size());
        for (size_t i = 0; i < t.clientReachFirst.size(); ++i)
          for (Position x = 0; x < truth.end(); ++x)
            RC_ASSERT(
                (t.clientReachFirst[i] <= x && x < t.clientReachLast[i]) ==
                masks[c].visible(step.position + int64_t(i), x));
      }
      if (!t.hasReach)
        continue;
      const auto &cache = caches[c * ranks.size() + routes.rank()];
      size_t cell = 0, at = 0;
      for (int32_t j = 0, row = -1; j < plan.queryShards(); ++j) {
        bool first = true;
        for (int32_t k = 0; k < plan.keyShards(); ++k) {
          if (truth.cellRank(j, k) != routes.rank())
            continue;
          row += first;
          first = false;
          const Labels &keys = cache.at(t.cellColumn.at(cell));
          RC_ASSERT(size_t(t.reachBegin.at(cell++)) == at);
          for (int32_t i = t.queryBegin[row]; i < t.queryBegin[row + 1];
               ++i, ++at) {
            int32_t begin = t.reachFirst.at(at), end = t.reachLast.at(at);
            RC_ASSERT(0 <= begin && begin <= end &&
                      end <= int32_t(keys.size()));
            for (int32_t x = 0; x < int32_t(keys.size()); ++x)
              RC_ASSERT((begin <= x && x < end) ==
                        masks[c].visible(t.queryPosition[i], keys[x].position));
          }
        }
      }
      RC_ASSERT(t.reachBegin.size() == cell + 1);
      RC_ASSERT(size_t(t.reachBegin.back()) == at);
      RC_ASSERT(t.reachFirst.size() == at && t.reachLast.size() == at);
      RC_ASSERT(int64_t(at) <= routes.bounds().reach);
    }
  }

  const Plan &plan;
  std::vector<Mask> masks;
  int64_t capacity;
  Step step;
  std::vector<Routes> ranks;
  std::vector<std::vector<Labels>> caches; // [mask, rank][column]
};

RC_GTEST_PROP(Routes, byBruteForce, ()) {
  Plan plan = drawPlan();
  plan.clientLast = draw(0, 3) == 0;
  std::vector<Mask> masks = drawMasks();
  int64_t capacity = draw(1, 45), largest = draw(1, 50);
  Machine machine(plan, masks, capacity, largest);
  for (const Step &step : drawSteps(masks, capacity, largest))
    machine.run(step);
}

RC_GTEST_PROP(Routes, cellsInNodeOrder, ()) {
  Plan plan = drawPlan();
  for (int32_t rank = 0; rank < plan.rankCount(); ++rank) {
    auto routes = Routes::create(plan, {Mask::causal()}, 8, 8, rank);
    RC_ASSERT(bool(routes));
    const MaskTables &t = routes->tables().masks[0];
    size_t cell = 0;
    std::set<int32_t> rows;
    for (int32_t j = 0; j < plan.queryShards(); ++j)
      for (int32_t k = 0; k < plan.keyShards(); ++k) {
        if (plan.ranks[plan.attnNode(j, k)] != rank)
          continue;
        RC_ASSERT(routes->gridRows().at(t.cellRow.at(cell)) == j);
        RC_ASSERT(routes->gridColumns().at(t.cellColumn.at(cell)) == k);
        RC_ASSERT(bool(t.cellFirst.at(cell)) == rows.insert(j).second);
        ++cell;
      }
    RC_ASSERT(t.cellRow.size() == cell);
    RC_ASSERT(
        std::is_sorted(routes->gridRows().begin(), routes->gridRows().end()));
    RC_ASSERT(std::is_sorted(routes->gridColumns().begin(),
                             routes->gridColumns().end()));
  }
}

RC_GTEST_PROP(Routes, fillKeepsEveryAddress, ()) {
  // No table grows beyond what was reserved: its data stay where they are.
  Plan plan = drawPlan();
  std::vector<Mask> masks = drawMasks();
  int64_t capacity = draw(1, 45), largest = draw(1, 50);
  auto routes = Routes::create(plan, masks, capacity, largest,
                               draw(0, plan.rankCount() - 1));
  RC_ASSERT(bool(routes));
  drawWants(*routes);
  std::vector<const int32_t *> before;
  auto names = RouteTables::names(masks.size());
  for (const std::string &name : names) {
    const IndexList *table = routes->tables().find(name);
    RC_ASSERT(table != nullptr);
    before.push_back(table->data());
  }
  for (const Step &step : drawSteps(masks, capacity, largest)) {
    RC_ASSERT(bool(routes->fill(step)));
    for (size_t i = 0; i < names.size(); ++i)
      RC_ASSERT(routes->tables().find(names[i])->data() == before[i]);
  }
}

RC_GTEST_PROP(Routes, unshardedRowsKeepTheirOrder, ()) {
  // What is promised to those who read past these lists.
  Plan plan = drawPlan(1);
  RC_ASSERT(keepsRowOrder(plan));
  std::vector<Mask> masks = drawMasks();
  int64_t capacity = draw(1, 45), largest = draw(1, 50);
  auto isIdentity = [](const IndexList &list, size_t size) {
    IndexList identity(size);
    std::iota(identity.begin(), identity.end(), 0);
    return list == identity;
  };
  std::vector<Routes> ranks;
  for (int32_t rank = 0; rank < plan.rankCount(); ++rank) {
    auto routes = Routes::create(plan, masks, capacity, largest, rank);
    RC_ASSERT(bool(routes));
    ranks.push_back(std::move(*routes));
  }
  for (const Step &step : drawSteps(masks, capacity, largest)) {
    size_t queries = 0, merged = 0;
    for (Routes &routes : ranks) {
      RC_ASSERT(bool(routes.fill(step)));
      const RouteTables &all = routes.tables();
      size_t rows = all.compPosition.size();
      for (const MaskTables &tables : all.masks) {
        size_t seen = tables.queryPosition.size();
        RC_ASSERT(isIdentity(tables.querySource, seen));
        RC_ASSERT(isIdentity(tables.mergeSource, rows));
        RC_ASSERT(isIdentity(tables.mergeBegin, rows + 1));
        queries += seen;
        merged += rows;
      }
    }
    RC_ASSERT(queries == masks.size() * size_t(step.rows));
    RC_ASSERT(merged == queries);
  }
}

TEST(Routes, names) {
  auto plan = makePlan({});
  auto routes =
      Routes::create(*plan, {Mask::causal(), Mask::windowed(4)}, 64, 64, 1);
  ASSERT_TRUE(bool(routes));
  const RouteTables &tables = routes->tables();
  EXPECT_EQ(tables.find("up1.query_pack"), &tables.masks[1].upQueryPack);
  EXPECT_EQ(tables.find("enter.source"), &tables.enterSource);
  EXPECT_EQ(tables.find("client.reach1.last"),
            &tables.masks[1].clientReachLast);
  for (const char *name :
       {"up2.query_pack", "up.query_pack", "up0", "up0.", "up0.begin", "",
        "leave", "enter.source ", "client.reach.first", "client.reach2.first"})
    EXPECT_EQ(tables.find(name), nullptr) << name;
}

TEST(Routes, reachIsFilledForTheClassThatAsks) {
  auto routes = Routes::create(*makePlan({}),
                               {Mask::causal(), Mask::windowed(4)}, 64, 64, 5);
  ASSERT_TRUE(bool(routes));
  EXPECT_EQ(routes->want("reach2.first"), nullptr);
  EXPECT_EQ(routes->want("up0.transfer"),
            &routes->tables().masks[0].upTransfer);
  const IndexList *last = routes->want("reach1.last");
  ASSERT_EQ(last, &routes->tables().masks[1].reachLast);
  ASSERT_TRUE(bool(routes->fill({0, 16, 1})));
  // attn(0,0): queries and keys 0 2 7 9 14.
  EXPECT_EQ(*last, (IndexList{1, 2, 3, 4, 5}));
  EXPECT_EQ(routes->tables().masks[1].reachFirst, (IndexList{0, 0, 2, 2, 4}));
  EXPECT_EQ(routes->tables().masks[0].reachLast, IndexList());
  EXPECT_EQ(routes->tables().masks[1].clientReachLast, IndexList());
}

TEST(Routes, refusals) {
  auto plan = *makePlan({});
  auto refused = [&](std::vector<Mask> masks, int64_t capacity, int64_t largest,
                     int32_t rank) {
    auto routes = Routes::create(plan, masks, capacity, largest, rank);
    return routes ? std::string("accepted") : routes.error().message;
  };
  EXPECT_EQ(refused({}, 8, 8, 0), "routes need at least one mask");
  EXPECT_EQ(refused({Mask::windowed(0)}, 8, 8, 0),
            "window 0: it must be at least 1");
  EXPECT_EQ(refused({Mask::full()}, 0, 8, 0),
            "capacity 0: it must be from 1 to 2147483647");
  EXPECT_EQ(refused({Mask::full()}, 8, 0, 0),
            "largest step 0: it must be at least 1");
  EXPECT_EQ(refused({Mask::full()}, 8, 8, 21),
            "rank 21: the plan has ranks 0 to 20");
  ClusterRule alone;
  alone.ranks = 1;
  plan = *makePlan(alone);
  EXPECT_EQ(refused({Mask::full()}, INT32_MAX, INT32_MAX, 0),
            "a step of 2147483647 rows may need a table of 8589934588 rows at "
            "rank 0, the limit is 2147483647");
  auto finite = parsePlan(
      R"j({"R": ["[0,9)"], "S": ["[0,99)"], "T": ["period 1: [0,1)"]})j");
  plan = *finite;
  EXPECT_EQ(refused({Mask::full()}, 10, 8, 0),
            "C1: capacity 10 is beyond the 9 positions that the plan's finite "
            "sets own");
}

TEST(Routes, refusedStepsChangeNothing) {
  auto routes = Routes::create(*makePlan({}), {Mask::causal()}, 32, 16, 20);
  ASSERT_TRUE(bool(routes));
  ASSERT_TRUE(bool(routes->fill({0, 16, 1})));
  auto refused = [&](Step step) {
    auto status = routes->fill(step);
    EXPECT_EQ(routes->length(), 16);
    return status ? std::string("accepted") : status.error().message;
  };
  EXPECT_EQ(refused({17, 1, 1}), "C5: step of 1 rows at position 17: the rows "
                                 "routed so far end at 16");
  EXPECT_EQ(refused({-1, 1, 1}), "C5: step of 1 rows at position -1: the rows "
                                 "routed so far end at 16");
  EXPECT_EQ(refused({16, 0, 0}),
            "step of 0 rows at position 16: a step has from 1 to 16 rows");
  EXPECT_EQ(refused({0, 17, 0}),
            "step of 17 rows at position 0: a step has from 1 to 16 rows");
  EXPECT_EQ(refused({16, 2, 3}),
            "step of 2 rows at position 16: 3 rows are wanted back");
  ASSERT_TRUE(bool(routes->fill({16, 16, 1})));
  auto status = routes->fill({30, 3, 1});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            "step of 3 rows at position 30: the capacity is 32");
  EXPECT_EQ(routes->length(), 32);

  auto full = Routes::create(*makePlan({}), {Mask::full()}, 32, 16, 0);
  ASSERT_TRUE(full && full->fill({0, 16, 1}));
  status = full->fill({16, 1, 1});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            "C5: step of 1 rows at position 16: a bidirectional model takes "
            "one step, from position 0");
}

} // namespace
