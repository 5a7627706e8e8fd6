#include "rshard/tokenset/StepSequence.h"
#include "rshard/tokenset/RouteMemory.h"

#include <algorithm>

namespace rshard::tokenset {
namespace {

std::vector<Step> cut(Position length, const std::vector<Mask> &masks) {
  for (const Mask &mask : masks)
    if (mask.kind == MaskKind::Full)
      return {{0, length, length}};
  std::vector<Step> steps;
  Position at = 0;
  // Every rank holds the tables of a step: they, and not those of the text, are
  // what takes memory. Of a short text one step may be half.
  int64_t most = std::max<int64_t>(256, length / 32);
  auto take = [&](int64_t rows) {
    rows = std::min({rows, length - at, most});
    if (rows > 0)
      steps.push_back({at, rows, 1});
    at += std::max<int64_t>(rows, 0);
  };
  take(length / 2);
  take(length / 4);
  if (at > 2)
    at -= 2;
  // As many steps for any length: each looks at all positions before it.
  int64_t rows = std::max<int64_t>(3, (length - at) / 24), last = 8;
  while (at + last < length)
    take(std::clamp<int64_t>(length - last - at, 3, rows));
  while (at < length)
    take(1);
  return steps;
}

int64_t largestOf(const std::vector<Step> &steps) {
  int64_t largest = 1;
  for (const Step &step : steps)
    largest = std::max(largest, step.rows);
  return largest;
}

int64_t countSends(const IndexList &transfers) {
  int64_t sends = 0;
  for (size_t i = 0; i < transferCount(transfers); ++i)
    sends += transferAt(transfers, i).isSend;
  return sends;
}

} // namespace

Expected<StepSequence> StepSequence::create(const Plan &plan,
                                            const std::vector<Mask> &masks,
                                            Position length) {
  StepSequence sequence;
  sequence.list = cut(length, masks);
  int64_t largest = largestOf(sequence.list);
  for (int32_t rank = 0; rank < plan.rankCount(); ++rank) {
    auto routes = Routes::create(plan, masks, length, largest, rank);
    if (!routes)
      return routes.error();
    for (const std::string &name : RouteTables::names(masks.size()))
      routes->want(name);
    sequence.ranks.push_back(std::move(*routes));
  }
  return sequence;
}

Expected<uint64_t> StepSequence::bytes(const Plan &plan,
                                       const std::vector<Mask> &masks,
                                       Position length) {
  int64_t largest = largestOf(cut(length, masks));
  uint64_t sum = 0;
  for (int32_t rank = 0; rank < plan.rankCount(); ++rank) {
    auto bytes = routeBytes(plan, masks.size(), length, largest, rank);
    if (!bytes)
      return bytes.error();
    sum += *bytes;
  }
  return sum;
}

Expected<bool> StepSequence::next() {
  if (current == list.size())
    return false;
  for (Routes &routes : ranks) {
    if (auto filled = routes.fill(list[current]); !filled)
      return filled.error();
    const RouteTables &tables = routes.tables();
    sent += countSends(tables.enterTransfer) + countSends(tables.leaveTransfer);
    for (const MaskTables &mask : tables.masks)
      sent += countSends(mask.upTransfer) + countSends(mask.downTransfer);
  }
  ++current;
  return true;
}

} // namespace rshard::tokenset
