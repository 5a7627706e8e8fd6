//===- SessionLength.h - how many positions a session holds -----*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_SESSIONLENGTH_H
#define RSHARD_TOOLS_RSHARD_SESSIONLENGTH_H

#include <cstdint>

namespace CLI {
class App;
} // namespace CLI

namespace rshard::tool {

/// --max-new-tokens and --capacity. Which keys a prompt sends depends on the
/// queries that the capacity leaves room for (C2), so what predicts bytes takes
/// it from here as what runs does.
struct SessionLength {
  int64_t newTokens = 32;
  /// 0: the prompt and its new tokens.
  int64_t capacity = 0;

  void add(CLI::App &app);
  /// Positions of a session for a prompt of `prompt` tokens.
  int64_t positions(int64_t prompt) const {
    return capacity ? capacity : prompt + newTokens;
  }
};

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_SESSIONLENGTH_H
