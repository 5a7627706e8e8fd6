// Random plans, masks and splits into steps; brute-force answers about them.

#ifndef RSHARD_TEST_UNIT_TOKENSET_RANDOMPLANS_H
#define RSHARD_TEST_UNIT_TOKENSET_RANDOMPLANS_H

#include "RandomSets.h"
#include "rshard/tokenset/Routes.h"

#include <array>
#include <set>

namespace rshard::tokenset::test {

inline RowTypes drawTypes() {
  RowTypes types;
  types.activations = std::array{ElementType::F32, ElementType::BF16,
                                 ElementType::F16}[size_t(draw(0, 2))];
  if (draw(0, 1))
    types.partials = types.activations;
  return types;
}

/// Random families of at most `most` sets, grid, placement and types; ranks are
/// dense.
inline Plan drawPlan(int64_t most = 4) {
  Plan plan;
  plan.R = drawPartition("R", draw(1, most));
  plan.S = drawPartition("S", draw(1, most));
  plan.T = drawPartition("T", draw(1, most));
  plan.types = drawTypes();
  switch (draw(0, 2)) {
  case 0:
    placeApart(plan);
    break;
  case 1:
    RC_ASSERT(bool(place(plan, draw(1, plan.nodes()))));
    break;
  default: {
    int64_t most = draw(1, 6);
    std::vector<int32_t> dense(most, -1);
    int32_t used = 0;
    for (int32_t node = 0; node < plan.nodes(); ++node) {
      int64_t label = draw(0, most - 1);
      if (dense[label] < 0)
        dense[label] = used++;
      plan.ranks.push_back(dense[label]);
    }
  }
  }
  RC_ASSERT(bool(validate(plan)));
  return plan;
}

/// Mostly windows of the size of the texts; some at the far end of the type,
/// where sums with a position overflow.
inline int64_t drawWindow() {
  switch (draw(0, 5)) {
  case 0:
    return INT64_MAX - draw(0, 40);
  case 1:
    return int64_t(1) << draw(5, 62);
  default:
    return draw(1, 20);
  }
}

inline std::vector<Mask> drawMasks() {
  std::vector<Mask> masks;
  if (draw(0, 3) == 0)
    return {Mask::full()};
  for (int64_t i = draw(1, 2); i > 0; --i)
    masks.push_back(draw(0, 1) ? Mask::causal() : Mask::windowed(drawWindow()));
  return masks;
}

/// Steps that cover up to the capacity, with truncations; one step if a mask is
/// full.
inline std::vector<Step> drawSteps(const std::vector<Mask> &masks,
                                   int64_t capacity, int64_t largest) {
  std::vector<Step> steps;
  Position length = 0;
  for (int64_t i = draw(1, 6); i > 0; --i) {
    Position p = draw(0, 3) ? length : draw(0, length);
    if (p == capacity)
      p = draw(0, capacity - 1);
    if (masks[0].kind == MaskKind::Full)
      p = 0;
    int64_t rows = draw(0, 2) ? draw(1, std::min(largest, capacity - p)) : 1;
    steps.push_back({p, rows, draw(0, rows)});
    length = p + rows;
  }
  return steps;
}

/// Asks for every table, in half of the cases.
inline void drawWants(Routes &routes) {
  if (draw(0, 1))
    for (const std::string &name : RouteTables::names(routes.masks().size()))
      routes.want(name);
}

/// The questions that routes answer, token by token from the definitions.
struct BruteForce {
  const Plan &plan;
  Mask mask;
  int64_t capacity;
  Step step;

  Position end() const { return step.position + step.rows; }
  int32_t compRank(Position p) const {
    return plan.ranks[plan.compNode(plan.R.owner(p))];
  }
  int32_t cellRank(int32_t j, int32_t k) const {
    return plan.ranks[plan.attnNode(j, k)];
  }
  /// Cell (j(q),k) shows query q a key.
  bool shows(Position q, int32_t k) const {
    for (Position x = 0; x < end(); ++x)
      if (plan.T.owner(x) == k && mask.visible(q, x))
        return true;
    return false;
  }
  /// A later query within the capacity sees key x in cell (j,k(x)).
  bool needs(Position x, int32_t j) const {
    Position stop = mask.kind == MaskKind::Full ? end() : capacity;
    for (Position q = 0; q < stop; ++q)
      if (plan.S.owner(q) == j && mask.visible(q, x))
        return true;
    return false;
  }
  /// The ranks that return a partial for q, by the smallest k they hold (C3).
  std::vector<int32_t> mergeRanks(Position q) const {
    int32_t j = plan.S.owner(q);
    std::vector<int32_t> ranks;
    for (int32_t k = 0; k < plan.keyShards(); ++k) {
      int32_t rank = cellRank(j, k);
      if (std::find(ranks.begin(), ranks.end(), rank) == ranks.end())
        ranks.push_back(rank);
    }
    std::erase_if(ranks, [&](int32_t rank) {
      for (int32_t k = 0; k < plan.keyShards(); ++k)
        if (cellRank(j, k) == rank && shows(q, k))
          return false;
      return true;
    });
    return ranks;
  }
  /// The ranks that cache key x, ascending.
  std::set<int32_t> cacheRanks(Position x) const {
    std::set<int32_t> ranks;
    for (int32_t j = 0; j < plan.queryShards(); ++j)
      if (needs(x, j))
        ranks.insert(cellRank(j, plan.T.owner(x)));
    return ranks;
  }
};

} // namespace rshard::tokenset::test

#endif // RSHARD_TEST_UNIT_TOKENSET_RANDOMPLANS_H
