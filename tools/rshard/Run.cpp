//===- Run.cpp - rshard run -----------------------------------------------===//

#include "Commands.h"
#include "OptionChecks.h"
#include "Output.h"
#include "Progress.h"
#include "Prompt.h"
#include "RunChecks.h"
#include "RunReport.h"

using namespace rshard;
using namespace rshard::tool;

/// Refuses options that would change nothing: an artifact has settled them.
static ExitStatus openArtifact(const RunOptions &options,
                               std::optional<runtime::Artifact> &artifact) {
  const std::string &path = options.model.getPath();
  if (options.plan.given())
    return refuse(path + ": the artifact's plan cannot be changed", BadUsage);
  if (options.model.overridden())
    return refuse(path + ": the artifact's model cannot be changed: --config",
                  BadUsage);
  for (const auto &[name, value] : {std::pair("--target", &options.target),
                                    {"--cpu", &options.cpu},
                                    {"--ptxas", &options.assembler}})
    if (!value->empty())
      return refuse(path + ": the artifact's code is generated: " + name,
                    BadUsage);
  auto opened = runtime::Artifact::open(path);
  if (!opened)
    return refuse(opened.error().message);
  artifact = std::move(*opened);
  if (ExitStatus status =
          checkGpuOptions(options, artifact->manifest().target.name == "cuda");
      status != Success)
    return status;
  return checkFit(options, traitsOf(artifact->manifest()));
}

/// The directory with weights and tokenizer.
static tokenset::Expected<std::string> getDirectory(const RunOptions &options) {
  const std::string &path = options.model.getPath();
  if (!options.weights.empty())
    return options.weights;
  std::error_code code;
  if (std::filesystem::is_directory(path, code))
    return path;
  if (!options.values.empty())
    return std::string();
  return tokenset::Error{path + ": it holds no weights: --model DIR says where "
                                "they are"};
}

static ArtifactRequest makeRequest(const RunOptions &options,
                                   const std::string &directory) {
  return {.model = options.model,
          .plan = options.plan,
          .target = targetOf(options.target),
          .cpu = options.cpu.empty() ? "native" : options.cpu,
          .assembler = options.assembler,
          .from = {},
          .dumpPhases = {},
          .weights = directory,
          .randomWeights = !options.values.empty()};
}

/// What a model says of itself, before weights and a prompt are asked for.
static ExitStatus loadModel(const RunOptions &options,
                            Compilation &compilation) {
  if (ExitStatus status = compilation.load(); status != Success)
    return status;
  if (!compilation.getTraits())
    return Success;
  return checkFit(options, *compilation.getTraits());
}

/// What it did not say, its artifact does.
static ExitStatus compile(const RunOptions &options, Compilation &compilation,
                          std::optional<runtime::Artifact> &artifact) {
  ExitStatus status = compilation.openCached(artifact);
  if (status != Success || compilation.getTraits())
    return status;
  return checkFit(options, traitsOf(artifact->manifest()));
}

static ExitStatus run(RunOptions &options) {
  if (ExitStatus status = checkUsage(options); status != Success)
    return status;
  // Hidden rows are those of a model that generates nothing. A number of tokens
  // that was asked for is not dropped.
  if (!options.hidden.empty() && !options.generation.length.asked)
    options.generation.length.asked = 0;
  auto directory = getDirectory(options);
  std::optional<runtime::Artifact> artifact;
  std::optional<Compilation> compilation;
  if (options.model.isArtifact()) {
    if (ExitStatus status = openArtifact(options, artifact); status != Success)
      return status;
  } else {
    compilation.emplace(makeRequest(options, directory ? *directory : ""));
    if (ExitStatus status = loadModel(options, *compilation); status != Success)
      return status;
  }
  if (ExitStatus status = checkDevice(options); status != Success)
    return status;
  if (!directory)
    return refuse(directory.error().message);
  auto prompt = readPrompt(options.prompt, options.tokens, *directory);
  if (!prompt)
    return refuse(prompt.error().message);
  std::optional<int64_t> positions;
  if (artifact)
    positions = traitsOf(artifact->manifest()).positions;
  else if (compilation->getTraits())
    positions = compilation->getTraits()->positions;
  if (ExitStatus status =
          checkBeforeCompiling(options, *prompt, *directory, positions);
      status != Success)
    return status;
  if (compilation)
    if (ExitStatus status = compile(options, *compilation, artifact);
        status != Success)
      return status;
  compilation.reset(); // the model's IR is not needed any more
  auto seed = parseRandomSeed(options.values);
  tokenset::Expected<runtime::Weights> weights =
      seed ? runtime::Weights::random(artifact->manifest(), *seed)
           : runtime::Weights::open(*directory);
  if (!weights)
    return refuse(weights.error().message);

  runtime::setThreads(options.threads);
  runtime::SessionOptions settings;
  settings.capacity = options.generation.length.positions(
      static_cast<int64_t>(prompt->tokens.size()));
  settings.allRows = !options.logits.empty() || !options.hidden.empty();
  settings.device = options.device.value_or(0);
  if (!artifact->manifest().model.bidirectional)
    settings.largestStep =
        std::min(options.generation.chunk, settings.capacity);
  settings.progress = Progress("packing weights");
  options.generation.keepRows = settings.allRows;
  auto session = runtime::Session::create(*artifact, *weights, settings);
  if (!session)
    return refuse(session.error().message);
  settings.progress = {};

  RunReport report(*session, *prompt, options.json);
  auto generation =
      generate(*session, prompt->tokens, options.generation,
               Progress("running the prompt"),
               [&](int32_t token) { return report.stream(token); });
  if (!generation)
    return refuse(generation.error().message);
  if (!flushStandardOutput())
    return BadInput; // said at the end
  // First what cannot fail any more.
  report.finish(*generation, options.stats);
  for (const std::string &file : {options.logits, options.hidden})
    if (!file.empty())
      if (auto written = runtime::writeNpy(file, generation->rows,
                                           int64_t(generation->rows.size()) /
                                               generation->width,
                                           generation->width);
          !written)
        return refuse(written.error().message);
  return Success;
}

void rshard::tool::addRun(CLI::App &app, ExitStatus &status) {
  auto options = std::make_shared<RunOptions>();
  CLI::App *command = app.add_subcommand(
      "run", "run a model or an artifact on all nodes in this process");
  options->add(*command);
  command->footer(
      "\nExamples:\n"
      "  rshard run models/SmolLM2-135M-Instruct --comp 4 --cluster 2 "
      "--period 7 --prompt \"Once upon a time\"\n"
      "  rshard run models/SmolLM2-135M-Instruct --target cuda --prompt "
      "\"Once upon a time\"\n"
      "  rshard run model.rshard --model models/llama --tokens 1,2,3 "
      "--max-new-tokens 0 --logits out.npy\n");
  command->callback([options, &status] { status = run(*options); });
}
