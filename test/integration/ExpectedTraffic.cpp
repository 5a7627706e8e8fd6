//===- ExpectedTraffic.cpp - which rows must go where, by brute force -----===//

#include "ExpectedTraffic.h"
#include "rshard/tokenset/Exchange.h"
#include <algorithm>
#include <tuple>

namespace rshard::integration {
using runtime::ReceiveRecord;
using tokenset::Mask;
using tokenset::Plan;

namespace {

class TrafficOracle {
public:
  TrafficOracle(const Plan &plan, int64_t capacity, const StepShape &step)
      : plan(plan), capacity(capacity), step(step) {
    for (int64_t p = 0; p != capacity; ++p) {
      rOwner.push_back(plan.R.owner(p));
      sOwner.push_back(plan.S.owner(p));
      tOwner.push_back(plan.T.owner(p));
    }
  }

  /// Positions that the step runs, in the order of a rank with CompNodes.
  std::vector<int32_t> compRows(int32_t rank) const {
    std::vector<int32_t> rows;
    for (int32_t i = 0; i != plan.comps(); ++i)
      if (plan.ranks[plan.compNode(i)] == rank)
        for (int64_t p = step.position; p != end(); ++p)
          if (rOwner[p] == i)
            rows.push_back(static_cast<int32_t>(p));
    return rows;
  }
  /// All of them, in the order of ranks with AttnNodes: by grid row.
  std::vector<int32_t> gridRows() const {
    std::vector<int32_t> rows;
    for (int32_t j = 0; j != plan.queryShards(); ++j)
      for (int64_t p = step.position; p != end(); ++p)
        if (sOwner[p] == j)
          rows.push_back(static_cast<int32_t>(p));
    return rows;
  }
  int32_t compRank(int64_t p) const {
    return plan.ranks[plan.compNode(rOwner[p])];
  }

  /// Does a cell of the rank show the query of the step at least one key?
  bool showsKey(int32_t rank, int64_t query, const Mask &mask) const {
    for (int64_t key = 0; key != end(); ++key)
      if (mask.visible(query, key) &&
          plan.ranks[plan.attnNode(sOwner[query], tOwner[key])] == rank)
        return true;
    return false;
  }
  /// Can a query of this or a later step see the key in a cell of the rank?
  bool mayBeSeen(int32_t rank, int64_t key, const Mask &mask) const {
    // A bidirectional model takes one step: no query comes later.
    int64_t last = mask.kind == tokenset::MaskKind::Full ? end() : capacity;
    for (int64_t query = step.position; query != last; ++query)
      if (mask.visible(query, key) &&
          plan.ranks[plan.attnNode(sOwner[query], tOwner[key])] == rank)
        return true;
    return false;
  }
  int64_t end() const { return step.position + step.rows; }

private:
  const Plan &plan;
  int64_t capacity;
  StepShape step;
  std::vector<int32_t> rOwner, sOwner, tOwner;
};

} // namespace

std::vector<ReceiveRecord> expectedTraffic(const Plan &plan,
                                           const runtime::ModelInfo &model,
                                           int64_t capacity,
                                           const StepShape &step) {
  TrafficOracle oracle(plan, capacity, step);
  std::vector<ReceiveRecord> records;
  auto add = [&](int32_t source, int32_t rank, int32_t exchange, int32_t layer,
                 std::vector<int32_t> tensors, const std::vector<int32_t> &from,
                 auto &&goes) {
    std::vector<int32_t> positions;
    for (int32_t p : from)
      if (goes(p))
        positions.push_back(p);
    if (!positions.empty() && source != rank)
      for (int32_t tensor : tensors)
        records.push_back({rank, source, exchange, layer, tensor, positions});
  };

  int32_t client = plan.ranks[Plan::clientNode()];
  int32_t first = plan.clientFirst;
  int32_t last = static_cast<int32_t>(model.layers) - plan.clientLast;
  // Behind them the client's last layers need every row.
  int64_t wanted = plan.clientLast ? step.rows : step.wanted;
  for (int32_t a = 0; a != plan.rankCount(); ++a) {
    std::vector<int32_t> comp = oracle.compRows(a);
    add(client, a, tokenset::enterExchange(), first, {0}, comp,
        [](int32_t) { return true; });
    add(a, client, tokenset::leaveExchange(model.masks.size()), last - 1, {0},
        comp, [&](int32_t p) { return p >= oracle.end() - wanted; });
  }
  for (int32_t layer = first; layer != last; ++layer) {
    int32_t number = model.layerMask[layer];
    const Mask &mask = model.masks[number];
    for (int32_t a = 0; a != plan.rankCount(); ++a)
      for (int32_t b = 0; b != plan.rankCount(); ++b) {
        auto shows = [&](int32_t p) { return oracle.showsKey(b, p, mask); };
        add(a, b, tokenset::upExchange(number), layer, {0}, oracle.compRows(a),
            shows);
        add(a, b, tokenset::upExchange(number), layer, {1, 2},
            oracle.compRows(a),
            [&](int32_t p) { return oracle.mayBeSeen(b, p, mask); });
        add(b, a, tokenset::downExchange(number), layer, {0, 1},
            oracle.gridRows(),
            [&](int32_t p) { return oracle.compRank(p) == a && shows(p); });
      }
  }
  sortRecords(records);
  return records;
}

void sortRecords(std::vector<ReceiveRecord> &records) {
  auto key = [](const ReceiveRecord &r) {
    return std::tie(r.exchange, r.layer, r.source, r.rank, r.tensor,
                    r.positions);
  };
  std::sort(records.begin(), records.end(),
            [&](const auto &a, const auto &b) { return key(a) < key(b); });
}

} // namespace rshard::integration
