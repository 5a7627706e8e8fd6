// Types of rows that a plan's file does not state.

#ifndef RSHARD_TOKENSET_OPENTYPES_H
#define RSHARD_TOKENSET_OPENTYPES_H

#include "rshard/tokenset/Plan.h"

#include <string>

namespace rshard::tokenset {

/// By name, as parseRowTypes has them, for what the JSON leaves open.
struct OpenTypes {
  std::string activations = "f32";
  /// Empty: usualPartials().
  std::string partials;
};

/// parsePlan, which takes f32 activations if they are open, with other types.
Expected<Plan> parsePlan(std::string_view json, const OpenTypes &open);

/// What options ask of the types, by name; empty: nothing.
struct AskedTypes {
  std::string activations;
  std::string partials;
};

/// parsePlan for who has such options: they say what the JSON leaves open, and
/// an error what it says otherwise. `usual`: activations that nobody says.
Expected<Plan> parsePlan(std::string_view json, const AskedTypes &asked,
                         const std::string &usual);

/// The type of partials if nobody says: that of activations if the grid has one
/// key shard, else f32. A row then has one partial, and the merge nothing to
/// add up that would gain from more bits.
std::string usualPartials(const std::string &activations, int64_t keyShards);

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_OPENTYPES_H
