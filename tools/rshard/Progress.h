//===- Progress.h - how far a long task is, on stderr -----------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_PROGRESS_H
#define RSHARD_TOOLS_RSHARD_PROGRESS_H

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace rshard::tool {

/// Says `what: 40 %` on stderr for a task that takes longer than a second;
/// one line that is overwritten on a terminal, a line a time elsewhere. Can be
/// copied into a runtime::Progress.
class Progress {
public:
  explicit Progress(std::string what);
  void operator()(uint64_t done, uint64_t total) const;

private:
  struct State;
  std::shared_ptr<State> state;
};

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_PROGRESS_H
