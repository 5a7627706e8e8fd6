#include "rshard/tokenset/ClusterRule.h"
#include "rshard/tokenset/OpenTypes.h"

#include <charconv>

namespace rshard::tokenset {
namespace {

Expected<int64_t> positive(const char *option,
                           const std::optional<int64_t> &value,
                           int64_t fallback) {
  int64_t number = value.value_or(fallback);
  if (number < 1 || number > kPeriodLimit)
    return Error{std::string(option) + " " + std::to_string(number) +
                 ": it must be from 1 to " + std::to_string(kPeriodLimit)};
  return number;
}

} // namespace

Expected<GridShape> parseGridShape(std::string_view text) {
  GridShape shape;
  const char *end = text.data() + text.size();
  auto [stop, status] = std::from_chars(text.data(), end, shape.queries);
  if (status == std::errc() && stop != end && *stop == 'x') {
    auto [last, second] = std::from_chars(stop + 1, end, shape.keys);
    if (second == std::errc() && last == end && shape.queries >= 1 &&
        shape.keys >= 1)
      return shape;
  }
  return Error{"'" + std::string(text) +
               "' vs query x key shards such as 4x4, both at least 1"};
}

Expected<Plan> makePlan(const ClusterRule &rule) {
  bool figure = !rule.comp && !rule.cluster && !rule.period && !rule.group;
  auto comp = positive("--comp", rule.comp, 4);
  auto cluster = positive("--cluster", rule.cluster, figure ? 2 : 1);
  if (!comp)
    return comp.error();
  if (!cluster)
    return cluster.error();
  auto period =
      positive("--period", rule.period, figure ? 7 : *comp * *cluster);
  auto group = positive("--group", rule.group, *cluster);
  if (!period)
    return period.error();
  if (!group)
    return group.error();
  int64_t most = *comp * *cluster;
  if (*period > most || *period <= most - *cluster)
    return Error{"C1: --period " + std::to_string(*period) + ": --comp " +
                 std::to_string(*comp) + " --cluster " +
                 std::to_string(*cluster) + " require a period from " +
                 std::to_string(most - *cluster + 1) + " to " +
                 std::to_string(most)};

  std::vector<TokenSet> clusters, shards;
  for (int64_t i = 0; i < *comp; ++i) {
    Position begin = i * *cluster;
    auto set = TokenSet::periodic(
        *period, {{begin, std::min(begin + *cluster, *period)}});
    if (!set)
      return set.error();
    clusters.push_back(std::move(*set));
  }
  // A short last cluster may leave a group without r-th token: no grid row.
  for (int64_t first = 0; first < *comp; first += *group)
    for (int64_t r = 0; r < *cluster; ++r) {
      std::vector<Run> runs;
      for (int64_t i = first; i < std::min(first + *group, *comp); ++i)
        if (Position p = i * *cluster + r; p < *period)
          runs.push_back({p, p + 1});
      if (runs.empty())
        continue;
      auto set = TokenSet::periodic(*period, std::move(runs));
      if (!set)
        return set.error();
      shards.push_back(std::move(*set));
    }

  int64_t yields = static_cast<int64_t>(shards.size());
  GridShape shape = rule.attn.value_or(GridShape{yields, yields});
  bool dealt = shape != GridShape{yields, yields};
  auto R = Partition::create("R", std::move(clusters));
  auto S = dealt ? Partition::roundRobin("S", shape.queries)
                 : Partition::create("S", shards);
  auto T = dealt ? Partition::roundRobin("T", shape.keys)
                 : Partition::create("T", shards);
  for (const auto *family : {&R, &S, &T})
    if (!*family)
      return family->error();
  auto types = parseRowTypes(rule.activations,
                             rule.partials.empty()
                                 ? usualPartials(rule.activations, shape.keys)
                                 : rule.partials);
  if (!types)
    return types.error();
  Plan plan{std::move(*R),   std::move(*S),
            std::move(*T),   rule.clientFirst,
            rule.clientLast, {},
            *types};
  // Before nodes are counted in 32 bits.
  if (shape.queries > kRunLimit / shape.keys)
    return Error{"--attn " + std::to_string(shape.queries) + "x" +
                 std::to_string(shape.keys) + ": the grid is too large"};
  placeApart(plan);
  if (rule.ranks)
    if (auto status = place(plan, *rule.ranks); !status)
      return status.error();
  if (auto status = validate(plan); !status)
    return status.error();
  return plan;
}

} // namespace rshard::tokenset
