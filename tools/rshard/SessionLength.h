//===- SessionLength.h - how many positions a session holds -----*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_SESSIONLENGTH_H
#define RSHARD_TOOLS_RSHARD_SESSIONLENGTH_H

#include <algorithm>
#include <cstdint>
#include <optional>

namespace CLI {
class App;
} // namespace CLI

namespace rshard::tool {

/// --max-new-tokens and --capacity. Which keys a prompt sends depends on the
/// queries that the capacity leaves room for (C2), so what predicts bytes takes
/// it from here as what runs does.
struct SessionLength {
  /// --max-new-tokens, if it was given.
  std::optional<int64_t> asked;
  /// 0: as many as are run.
  int64_t capacity = 0;

  void add(CLI::App &app);
  bool given() const { return asked || capacity; }
  /// Positions of a session for a prompt of `prompt` tokens.
  int64_t positions(int64_t prompt) const {
    return capacity ? capacity : run(prompt);
  }
  /// Positions that are run: the last new token is not.
  int64_t run(int64_t prompt) const {
    return prompt + std::max<int64_t>(newTokens() - 1, 0);
  }
  int64_t newTokens() const { return asked.value_or(32); }
};

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_SESSIONLENGTH_H
