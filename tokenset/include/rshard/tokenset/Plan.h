// The plan: who owns which tokens, on which rank each node lives, and in which
// types rows are kept and sent.

#ifndef RSHARD_TOKENSET_PLAN_H
#define RSHARD_TOKENSET_PLAN_H

#include "rshard/tokenset/ElementType.h"
#include "rshard/tokenset/Partition.h"

namespace rshard::tokenset {

/// Element types of rows, in memory and on the wire. The log-sum-exp of a
/// partial and the results are always f32.
struct RowTypes {
  /// Hidden rows, queries, keys and values, and so the caches.
  ElementType activations = ElementType::F32;
  /// Outputs of partial attention on their way to the merge.
  ElementType partials = ElementType::F32;

  bool operator==(const RowTypes &) const = default;
};

/// Types by name: activations are f32, bf16 or f16; partials are f32 or of
/// their type.
Expected<RowTypes> parseRowTypes(std::string_view activations,
                                 std::string_view partials);

/// Nodes are numbered client = 0, CompNode i = 1 + i,
/// AttnNode (j,k) = 1 + comps() + j * keyShards() + k.
struct Plan {
  Partition R; ///< over CompNodes
  Partition S; ///< queries: over grid rows
  Partition T; ///< keys and values: over grid columns
  /// Layers that the client runs itself: the first and the last ones.
  int32_t clientFirst = 0;
  int32_t clientLast = 0;
  /// The rank of each node; ranks are dense from 0.
  std::vector<int32_t> ranks;
  RowTypes types;

  int32_t comps() const { return R.size(); }
  int32_t queryShards() const { return S.size(); }
  int32_t keyShards() const { return T.size(); }
  int32_t nodes() const { return 1 + comps() + queryShards() * keyShards(); }
  int32_t rankCount() const;

  static constexpr int32_t clientNode() { return 0; }
  int32_t compNode(int32_t i) const { return 1 + i; }
  int32_t attnNode(int32_t j, int32_t k) const {
    return 1 + comps() + j * keyShards() + k;
  }
  /// `client`, `comp(1)`, `attn(0,3)`.
  std::string nodeName(int32_t node) const;

  /// The number of positions that R, S and T all own; kNever: all.
  Position limit() const { return std::min({R.limit(), S.limit(), T.limit()}); }

  /// The plan of a session that starts `delta` positions into the pattern.
  Plan shifted(int64_t delta) const;

  bool operator==(const Plan &) const = default;
};

/// Checks what a plan must fulfil beyond C1 of its partitions: at least one set
/// in each of R, S and T, one rank per node (C2), ranks dense from 0, client
/// layers not negative, valid types.
Expected<void> validate(const Plan &plan);

/// Every node its own rank.
void placeApart(Plan &plan);
/// `count` ranks hold equal, contiguous blocks of nodes; 1 <= count <= nodes.
Expected<void> place(Plan &plan, int64_t count);

/// JSON: {"R": [set...], "S": [...], "T": [...], "client_layers": [L0, L1],
/// "types": {"activations": "bf16", "partials": "f32"}, "ranks": [...]} with
/// sets in their text form. The last three keys may be missing, and so may
/// either type: activations are then f32, partials what OpenTypes.h says. The
/// result is validated.
Expected<Plan> parsePlan(std::string_view json);
/// The JSON form, ending in a newline; equal plans print equal text (C9). It
/// leaves nothing open.
std::string printPlan(const Plan &plan);

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_PLAN_H
