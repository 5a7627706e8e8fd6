//===- Generation.h - a prompt and its continuation -------------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_GENERATION_H
#define RSHARD_TOOLS_RSHARD_GENERATION_H

#include "SessionLength.h"
#include "rshard/runtime/Runtime.h"
#include <functional>

namespace rshard::tool {

struct GenerationOptions {
  SessionLength length;
  /// Rows of a step of the prompt; 0: as many as the session takes.
  int64_t chunk = 0;
  bool ignoreEnd = false;
  /// Keep the result rows of every position that is run.
  bool keepRows = false;
  runtime::SamplingOptions sampling;
};

struct Generation {
  /// The prompt and what follows it.
  std::vector<int32_t> tokens;
  int64_t promptLength = 0;
  /// [positions that were run, width], if kept.
  std::vector<float> rows;
  int64_t width = 0;
  double promptSeconds = 0, tokenSeconds = 0;
};

/// Runs the prompt, then one token at a time; calls `emit` with each new token
/// as soon as it is known, and stops if it returns false. `progress` hears of
/// every step of the prompt.
tokenset::Expected<Generation>
generate(runtime::Session &session, const std::vector<int32_t> &prompt,
         const GenerationOptions &options, runtime::Progress progress,
         const std::function<bool(int32_t)> &emit);

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_GENERATION_H
