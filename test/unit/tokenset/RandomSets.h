// Random token sets and partitions, small enough to compare with brute force.

#ifndef RSHARD_TEST_UNIT_TOKENSET_RANDOMSETS_H
#define RSHARD_TEST_UNIT_TOKENSET_RANDOMSETS_H

#include "rshard/tokenset/Partition.h"

#include <rapidcheck.h>

namespace rshard::tokenset::test {

/// An int in [low, high], uniform from the first case on.
inline int64_t draw(int64_t low, int64_t high) {
  return *rc::gen::resize(rc::kNominalSize,
                          rc::gen::inRange<int64_t>(low, high + 1));
}

/// The runs of the positions p of [0, length) with member(p).
template <typename Fn> std::vector<Run> runsOf(Position length, Fn &&member) {
  std::vector<Run> runs;
  for (Position p = 0; p < length; ++p)
    if (member(p)) {
      if (!runs.empty() && runs.back().end == p)
        ++runs.back().end;
      else
        runs.push_back({p, p + 1});
    }
  return runs;
}

/// A set that is finite in about a quarter of the cases.
inline TokenSet drawSet() {
  Position horizon = draw(0, 1) ? draw(1, 20) : 0;
  int64_t period = draw(0, 3) ? draw(1, 12) : 0;
  int64_t density = draw(0, 4);
  auto coin = [&](Position) { return draw(0, 4) < density; };
  auto set = TokenSet::create(runsOf(horizon, coin), horizon, period,
                              runsOf(period, coin));
  RC_ASSERT(bool(set));
  return *set;
}

/// `count` sets, some of them perhaps empty, that partition all positions.
inline Partition drawPartition(const char *name, int64_t count) {
  Position horizon = draw(0, 2) ? 0 : draw(1, 15);
  int64_t period = draw(1, 12);
  std::vector<int64_t> owner;
  // Draws in clusters, so that runs longer than one occur.
  int64_t last = draw(0, count - 1);
  for (Position p = 0; p < horizon + period; ++p)
    owner.push_back(last = draw(0, 2) ? draw(0, count - 1) : last);
  std::vector<TokenSet> sets;
  for (int64_t i = 0; i < count; ++i) {
    auto set = TokenSet::create(
        runsOf(horizon, [&](Position p) { return owner[p] == i; }), horizon,
        period,
        runsOf(period, [&](Position p) { return owner[horizon + p] == i; }));
    RC_ASSERT(bool(set));
    sets.push_back(*set);
  }
  auto family = Partition::create(name, std::move(sets));
  RC_ASSERT(bool(family));
  return *family;
}

} // namespace rshard::tokenset::test

#endif // RSHARD_TEST_UNIT_TOKENSET_RANDOMSETS_H
