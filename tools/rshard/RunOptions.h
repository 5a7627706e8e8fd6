//===- RunOptions.h - the options of rshard run -----------------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_RUNOPTIONS_H
#define RSHARD_TOOLS_RSHARD_RUNOPTIONS_H

#include "Generation.h"
#include "ModelOptions.h"
#include "PlanOptions.h"

namespace rshard::tool {

struct RunOptions {
  void add(CLI::App &command);

  ModelOptions model{ModelOptions::Other::Artifact};
  PlanOptions plan;
  /// --model, --weights, --ptxas; empty: not given, as the others.
  std::string weights, values, assembler;
  std::string target, cpu, logits, hidden;
  std::optional<std::string> prompt, tokens;
  GenerationOptions generation;
  int threads = 0;
  std::optional<int> device;
  bool json = false, stats = false;

private:
  void addGeneration(CLI::App &command);
};

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_RUNOPTIONS_H
