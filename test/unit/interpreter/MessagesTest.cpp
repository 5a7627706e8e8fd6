//===- MessagesTest.cpp - what nodes receive is what the routes say -------===//

#include "RandomModel.h"
#include "RandomPlans.h"
#include "mlir/IR/MLIRContext.h"
#include "rshard/Interpreter/Partitioned.h"
#include "rshard/tokenset/Routes.h"
#include <gtest/gtest.h>
#include <map>
#include <rapidcheck/gtest.h>
#include <set>

using namespace rshard;
using namespace rshard::interpreter;
using namespace rshard::test;
using tokenset::IndexList;
using tokenset::Mask;
using tokenset::MaskTables;
using tokenset::test::draw;

namespace {
/// The messages of one step, by kind, layer and receiver.
struct Log {
  std::map<std::tuple<RouteKind, int64_t, int32_t>, std::vector<Message>>
      byNode;

  void add(const Message &message) {
    byNode[{message.kind, message.layer, message.to}].push_back(message);
  }
  /// All positions that some of the nodes received.
  std::set<int32_t> positions(RouteKind kind, int64_t layer,
                              const std::vector<int32_t> &nodes) const {
    std::set<int32_t> all;
    for (int32_t node : nodes)
      if (auto at = byNode.find({kind, layer, node}); at != byNode.end())
        for (const Message &message : at->second)
          all.insert(message.positions.begin(), message.positions.end());
    return all;
  }
};
} // namespace

static std::set<int32_t> slice(const IndexList &list, int32_t begin,
                               int32_t end) {
  return {list.begin() + begin, list.begin() + end};
}

/// Compares the tables of one rank and one layer with the log.
static void checkLayer(const Log &log, int64_t layer,
                       const tokenset::Routes &routes,
                       const MaskTables &tables) {
  const tokenset::Plan &plan = routes.plan();
  int32_t rank = routes.rank();
  auto cellsHere = [&](auto &&member) {
    std::vector<int32_t> nodes;
    for (int32_t j = 0; j < plan.queryShards(); ++j)
      for (int32_t k = 0; k < plan.keyShards(); ++k)
        if (plan.ranks[plan.attnNode(j, k)] == rank && member(j, k))
          nodes.push_back(plan.attnNode(j, k));
    return nodes;
  };
  // Queries: what the cells of a grid row on this rank received.
  const std::vector<int32_t> &rows = routes.gridRows();
  for (size_t index = 0; index < rows.size(); ++index) {
    auto nodes =
        cellsHere([&](int32_t j, int32_t) { return j == rows[index]; });
    RC_ASSERT(log.positions(RouteKind::Query, layer, nodes) ==
              slice(tables.queryPosition, tables.queryBegin[index],
                    tables.queryBegin[index + 1]));
  }
  // Keys and values: what the cells of a grid column received is appended.
  const std::vector<int32_t> &columns = routes.gridColumns();
  for (size_t index = 0; index < columns.size(); ++index) {
    auto nodes =
        cellsHere([&](int32_t, int32_t k) { return k == columns[index]; });
    int64_t cacheRows = tables.cachePosition.size() / columns.size();
    std::set<int32_t> appended;
    for (int32_t at = tables.appendBegin[index];
         at < tables.appendBegin[index + 1]; ++at)
      appended.insert(
          tables.cachePosition[index * cacheRows + tables.appendRow[at]]);
    RC_ASSERT(log.positions(RouteKind::Key, layer, nodes) == appended);
  }
  // Partials: one for each rank that sent one.
  size_t at = 0;
  const tokenset::RouteTables &all = routes.tables();
  for (size_t node = 0; node < routes.comps().size(); ++node) {
    int32_t comp = routes.comps()[node];
    std::map<int32_t, std::set<int32_t>> senders;
    auto found =
        log.byNode.find({RouteKind::Partial, layer, plan.compNode(comp)});
    if (found != log.byNode.end())
      for (const Message &message : found->second)
        for (int32_t position : message.positions)
          senders[position].insert(plan.ranks[message.from]);
    for (int32_t t = all.compBegin[node]; t < all.compBegin[node + 1];
         ++t, ++at)
      RC_ASSERT(int64_t(senders[all.compPosition[t]].size()) ==
                tables.mergeBegin[at + 1] - tables.mergeBegin[at]);
  }
}

// The interpreter asks the sets position by position; the routes that the
// runtime uses never do. Both must move the same rows (C2).
RC_GTEST_PROP(Messages, FollowTheRoutes, ()) {
  RandomModel model = drawModel();
  tokenset::Plan plan = tokenset::test::drawPlan();
  plan.clientFirst = draw(0, model.layers() - 1);
  plan.clientLast = draw(0, model.layers() - 1 - plan.clientFirst);
  int64_t capacity = draw(1, 24);
  auto steps = tokenset::test::drawSteps(
      {model.isBidirectional() ? Mask::full() : Mask::causal()}, capacity,
      capacity);
  RC_LOG() << model.text << tokenset::printPlan(plan);

  auto module = parseModel(getContext(), model);
  RC_ASSERT(bool(module));
  auto partitioned = partition(*module, plan);
  RC_ASSERT(bool(partitioned));
  RandomWeights weights(1);
  auto nodes = Partitioned<float>::create(*partitioned, weights, capacity);
  RC_ASSERT(succeeded(nodes));
  Log log;
  nodes->onReceive([&](const Message &message) { log.add(message); });

  std::vector<Mask> classes;
  for (int64_t layer = plan.clientFirst;
       layer < model.layers() - plan.clientLast; ++layer)
    if (std::find(classes.begin(), classes.end(), model.masks[layer]) ==
        classes.end())
      classes.push_back(model.masks[layer]);
  // A client layer may hold the only full mask.
  bool manySteps = !model.isBidirectional();
  std::vector<tokenset::Routes> ranks;
  for (int32_t rank = 0; rank < plan.rankCount(); ++rank) {
    auto routes =
        tokenset::Routes::create(plan, classes, capacity, capacity, rank);
    RC_ASSERT(bool(routes));
    ranks.push_back(std::move(*routes));
  }

  for (const tokenset::Step &step : steps) {
    RC_ASSERT(manySteps || step.position == 0);
    log.byNode.clear();
    RC_ASSERT(
        succeeded(nodes->step(Ids(step.rows, 0), step.position, step.wanted)));
    for (tokenset::Routes &routes : ranks) {
      RC_ASSERT(bool(routes.fill(step)));
      const tokenset::RouteTables &tables = routes.tables();
      for (size_t i = 0; i < routes.comps().size(); ++i)
        RC_ASSERT(log.positions(RouteKind::Enter, plan.clientFirst,
                                {plan.compNode(routes.comps()[i])}) ==
                  slice(tables.compPosition, tables.compBegin[i],
                        tables.compBegin[i + 1]));
      int64_t last = model.layers() - plan.clientLast - 1;
      if (routes.rank() == plan.ranks[0])
        RC_ASSERT(log.positions(RouteKind::Leave, last, {0}) ==
                  slice(tables.leavePosition, 0, tables.leavePosition.size()));
      for (int64_t layer = plan.clientFirst; layer <= last; ++layer) {
        size_t c =
            std::find(classes.begin(), classes.end(), model.masks[layer]) -
            classes.begin();
        checkLayer(log, layer, routes, tables.masks[c]);
      }
    }
  }
}
