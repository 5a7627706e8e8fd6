// The figure's clustered rule: a plan from a few numbers.

#ifndef RSHARD_TOKENSET_CLUSTERRULE_H
#define RSHARD_TOKENSET_CLUSTERRULE_H

#include "rshard/tokenset/Plan.h"

#include <optional>

namespace rshard::tokenset {

struct GridShape {
  int64_t queries = 0;
  int64_t keys = 0;
  bool operator==(const GridShape &) const = default;
};

/// Reads `4x4`.
Expected<GridShape> parseGridShape(std::string_view text);

/// The command line's --comp, --cluster, --period, --group, --attn, --ranks,
/// --activations and --partials.
/// R_i takes the i-th cluster of `cluster` tokens of every period, the last one
/// may be short. CompNodes are taken in groups of `group`; the r-th token of
/// every cluster of a group makes one set of S = T. Defaults: comp 4, cluster
/// 1, period comp x cluster, group = cluster; with none of the first four given
/// comp 4, cluster 2, period 7, the figure's plan.
struct ClusterRule {
  std::optional<int64_t> comp;
  std::optional<int64_t> cluster;
  std::optional<int64_t> period;
  std::optional<int64_t> group;
  /// A shape that the rule does not yield deals positions round robin:
  /// S by p mod queries, T by p mod keys.
  std::optional<GridShape> attn;
  /// Default: one per node.
  std::optional<int64_t> ranks;
  int32_t clientFirst = 0;
  int32_t clientLast = 0;
  /// Types by name, as parseRowTypes has them.
  std::string activations = "f32";
  /// Empty: that of activations if the grid has one key shard, else f32. A row
  /// then has one partial, and the merge nothing to add up that would gain from
  /// more bits.
  std::string partials;
};

/// A valid plan, or an error that names the option and the required values (C1:
/// comp x cluster - cluster < period <= comp x cluster).
Expected<Plan> makePlan(const ClusterRule &rule);

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_CLUSTERRULE_H
