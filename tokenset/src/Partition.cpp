#include "rshard/tokenset/Partition.h"

#include <numeric>

namespace rshard::tokenset {

Expected<Partition> Partition::create(std::string name,
                                      std::vector<TokenSet> sets) {
  Partition partition;
  partition.label = std::move(name);
  partition.members = std::move(sets);
  if (auto status = partition.tabulate(); !status)
    return status.error();
  return partition;
}

Expected<Partition> Partition::roundRobin(std::string name, int64_t count) {
  if (count < 1 || count > kRunLimit)
    return Error{name + ": the number of sets is " + std::to_string(count) +
                 ", it must be from 1 to " + std::to_string(kRunLimit)};
  std::vector<TokenSet> sets;
  for (int64_t i = 0; i < count; ++i) {
    auto set = TokenSet::periodic(count, {{i, i + 1}});
    if (!set)
      return set.error();
    sets.push_back(std::move(*set));
  }
  return create(std::move(name), std::move(sets));
}

Expected<void> Partition::tabulate() {
  pieces.clear();
  horizon = 0;
  period = 0;
  for (const TokenSet &set : members) {
    horizon = std::max(horizon, set.horizon());
    if (set.isFinite())
      continue;
    int64_t common =
        period ? period / std::gcd(period, set.period()) * set.period()
               : set.period();
    if (common > kPeriodLimit)
      return Error{label +
                   ": the common period of the sets is beyond the "
                   "limit " +
                   std::to_string(kPeriodLimit)};
    period = common;
  }
  // All runs up to one common period beyond the common horizon, in order: each
  // must begin where the one before it ended.
  struct Owned {
    Run run;
    int32_t owner;
  };
  std::vector<Owned> owned;
  for (int32_t i = 0; i < size(); ++i) {
    auto runs = members[i].runs(0, horizon + period);
    if (!runs || owned.size() + runs->size() > size_t(kRunLimit))
      return Error{label + ": the sets need more than " +
                   std::to_string(kRunLimit) + " runs"};
    for (const Run &run : *runs)
      owned.push_back({run, i});
  }
  std::sort(owned.begin(), owned.end(), [](const Owned &a, const Owned &b) {
    return a.run.begin != b.run.begin ? a.run.begin < b.run.begin
                                      : a.owner < b.owner;
  });
  auto orphan = [this](Position p) {
    return Error{"C1: position " + std::to_string(p) +
                 " is owned by no set of " + label};
  };
  Position next = 0;
  for (size_t i = 0; i < owned.size(); ++i) {
    const Run &run = owned[i].run;
    if (run.begin > next)
      return orphan(next);
    if (run.begin < next)
      return Error{"C1: position " + std::to_string(run.begin) +
                   " is owned twice, by " + label + "[" +
                   std::to_string(owned[i - 1].owner) + "] and " + label + "[" +
                   std::to_string(owned[i].owner) + "]"};
    next = run.end;
    // Keep a boundary at the horizon: the table wraps there.
    if (pieces.empty() || pieces.back().owner != owned[i].owner ||
        run.begin == horizon)
      pieces.push_back({run.begin, owned[i].owner});
    if (run.begin < horizon && horizon < run.end)
      pieces.push_back({horizon, owned[i].owner});
  }
  if (period && next < horizon + period)
    return orphan(next);
  end = period ? kNever : next;
  // One set that owns everything beyond the horizon is one endless piece.
  if (period && pieces.back().begin == horizon) {
    next = kNever;
    period = 0;
  }
  pieces.push_back({next, -1});
  return {};
}

Position Partition::wrap(Position p) const {
  return p < horizon + period || !period ? p : horizon + (p - horizon) % period;
}

size_t Partition::pieceAt(Position p) const {
  auto it = std::partition_point(
      pieces.begin(), pieces.end(),
      [p](const Piece &piece) { return piece.begin <= p; });
  return (it - pieces.begin()) - 1;
}

int32_t Partition::owner(Position p, int64_t delta) const {
  p += delta;
  return p < 0 || p >= end ? -1 : pieces[pieceAt(wrap(p))].owner;
}

Partition Partition::shifted(int64_t delta) const {
  Partition result;
  result.label = label;
  for (const TokenSet &set : members)
    result.members.push_back(set.shifted(delta));
  // A shift loses and doubles no position, and needs no more runs.
  (void)result.tabulate();
  return result;
}

} // namespace rshard::tokenset
