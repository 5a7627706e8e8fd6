//===- RunChecks.cpp - what a run refuses before it takes time ------------===//

#include "RunChecks.h"
#include "Count.h"
#include "Output.h"
#include "rshard/Target/CUDA/Chip.h"
#include "rshard/runtime/Gpu.h"
#include "rshard/runtime/Runtime.h"

using namespace rshard;
using namespace rshard::tool;

static ExitStatus checkModelPath(const std::string &path) {
  std::error_code code;
  if (std::filesystem::status(path, code).type() ==
      std::filesystem::file_type::not_found)
    return refuse(path + ": no such file or directory");
  return code ? refuse(path + ": " + code.message()) : Success;
}

ExitStatus tool::checkUsage(const RunOptions &options) {
  if (options.prompt.has_value() == options.tokens.has_value())
    return refuse(options.prompt ? "--prompt and --tokens: both were given"
                                 : "what to run: --prompt TEXT or --tokens IDS",
                  BadUsage);
  if (ExitStatus status = checkModelPath(options.model.getPath());
      status != Success)
    return status;
  if (!options.model.isArtifact())
    if (ExitStatus status = checkGpuOptions(options, options.target == "cuda");
        status != Success)
      return status;
  return options.values.empty()
             ? checkWeightsFile(options.weights, options.model)
             : Success;
}

ExitStatus tool::checkGpuOptions(const RunOptions &options, bool onGpu) {
  if (options.device && !onGpu)
    return refuse("--device: it chooses a GPU, and the code is for the CPU",
                  BadUsage);
  return checkAssembler(options.assembler, onGpu);
}

ExitStatus tool::checkFit(const RunOptions &options, const ModelTraits &model) {
  const auto &[architecture, attentionOnly, hasHead, positions] = model;
  if (attentionOnly)
    return refuse(options.model.getPath() +
                  ": it takes rows of queries, keys and values, no tokens: "
                  "an application runs it, by Session::attend or "
                  "rshard_session_attend (docs/attention-entry.md)");
  if (hasHead && !options.hidden.empty())
    return refuse("--hidden: " + architecture +
                  " has a head: --logits writes its results");
  if (hasHead)
    return Success;
  if (!options.logits.empty())
    return refuse("--logits: " + architecture +
                  " has no head: --hidden writes its rows");
  if (options.generation.length.newTokens() > 0)
    return refuse(architecture + " has no head to generate " +
                  std::to_string(options.generation.length.newTokens()) +
                  " tokens with: --max-new-tokens 0, with --hidden OUT.npy");
  return Success;
}

ExitStatus tool::checkDevice(const RunOptions &options) {
  if (options.model.isArtifact() || options.target != "cuda")
    return Success;
  auto found = runtime::checkGpu(options.device.value_or(0), cuda::chip.str());
  return found ? Success : refuse(found.error().message);
}

/// Whether model and plan have the positions that the options ask for.
static tokenset::Expected<void> checkPositions(const SessionLength &length,
                                               int64_t tokens, int64_t most) {
  using tokenset::Error;
  std::string has = "model and plan have " + count(most, "position");
  if (tokens > most)
    return Error{"the prompt has " + count(tokens, "token") + ", " + has};
  if (length.capacity > most)
    return Error{"--capacity " + std::to_string(length.capacity) + ": " + has};
  if (length.run(tokens) > most)
    return Error{count(tokens, "token") + " and " +
                 count(length.newTokens(), "new one") + ": " + has +
                 ": at most --max-new-tokens " +
                 std::to_string(most - tokens + 1)};
  return {};
}

ExitStatus tool::checkBeforeCompiling(const RunOptions &options,
                                      const Prompt &prompt,
                                      const std::string &directory,
                                      std::optional<int64_t> positions) {
  const SessionLength &length = options.generation.length;
  int64_t tokens = static_cast<int64_t>(prompt.tokens.size());
  if (positions)
    if (auto reached = checkPositions(length, tokens, *positions); !reached)
      return refuse(reached.error().message);
  if (length.run(tokens) > length.positions(tokens))
    return refuse(count(tokens, "token") + " and " +
                  count(length.newTokens(), "new one") + " vs a capacity of " +
                  count(length.positions(tokens), "position"));
  if (auto sampler = runtime::Sampler::create(options.generation.sampling);
      !sampler)
    return refuse(sampler.error().message);
  for (const std::string &file : {options.logits, options.hidden})
    if (!file.empty())
      if (ExitStatus status = checkOutput(
              file, {options.model.getPath(), directory, options.plan.getFile(),
                     options.tokens.value_or("")});
          status != Success)
        return status;
  return Success;
}
