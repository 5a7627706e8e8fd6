//===- Run.cpp - rshard run -----------------------------------------------===//

#include "Artifacts.h"
#include "Commands.h"
#include "Count.h"
#include "Generation.h"
#include "OptionChecks.h"
#include "Output.h"
#include "Progress.h"
#include "Prompt.h"
#include "RunReport.h"
#include "rshard/Target/CUDA/Chip.h"
#include "rshard/runtime/Gpu.h"

using namespace rshard;
using namespace rshard::tool;

namespace {
struct Options {
  ModelOptions model{ModelOptions::Other::Artifact};
  PlanOptions plan;
  std::string weights, values, target, cpu, assembler, logits, hidden;
  std::optional<std::string> prompt, tokens;
  GenerationOptions generation;
  int threads = 0, device = 0;
  bool json = false, stats = false;
};
} // namespace

/// Refuses what does not fit the model.
static tokenset::Expected<void> checkFit(const Options &options,
                                         const ModelTraits &model) {
  using tokenset::Error;
  const auto &[architecture, attentionOnly, hasHead] = model;
  if (attentionOnly)
    return Error{options.model.getPath() +
                 ": it takes rows of queries, keys and values, no tokens: "
                 "an application runs it, by Session::attend or "
                 "rshard_session_attend (docs/attention-entry.md)"};
  if (hasHead && !options.hidden.empty())
    return Error{"--hidden: " + architecture +
                 " has a head: --logits writes its results"};
  if (hasHead)
    return {};
  if (!options.logits.empty())
    return Error{"--logits: " + architecture +
                 " has no head: --hidden writes its rows"};
  if (options.generation.length.newTokens() > 0)
    return Error{architecture + " has no head to generate " +
                 std::to_string(options.generation.length.newTokens()) +
                 " tokens with: --max-new-tokens 0, with --hidden OUT.npy"};
  return {};
}

static ExitStatus checkArtifact(const Options &options,
                                const runtime::Artifact &artifact) {
  auto good = checkFit(options, traitsOf(artifact.manifest().model));
  return good ? Success : refuse(good.error().message);
}

/// Refuses options that would change nothing: an artifact has settled them.
static ExitStatus openArtifact(const Options &options,
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
  return checkArtifact(options, *artifact);
}

/// The directory with weights and tokenizer.
static tokenset::Expected<std::string> getDirectory(const Options &options) {
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

static ArtifactRequest makeRequest(const Options &options,
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
static ExitStatus loadModel(const Options &options, Compilation &compilation) {
  if (ExitStatus status = compilation.load(); status != Success)
    return status;
  if (!compilation.getTraits())
    return Success;
  auto good = checkFit(options, *compilation.getTraits());
  return good ? Success : refuse(good.error().message);
}

/// What it did not say, its artifact does.
static ExitStatus compile(const Options &options, Compilation &compilation,
                          std::optional<runtime::Artifact> &artifact) {
  ExitStatus status = compilation.openCached(artifact);
  if (status != Success || compilation.getTraits())
    return status;
  return checkArtifact(options, *artifact);
}

static ExitStatus checkModelPath(const std::string &path) {
  std::error_code code;
  if (std::filesystem::status(path, code).type() ==
      std::filesystem::file_type::not_found)
    return refuse(path + ": no such file or directory");
  return code ? refuse(path + ": " + code.message()) : Success;
}

/// What would otherwise be found out after compiling, or after the last token.
static ExitStatus checkBeforeCompiling(const Options &options,
                                       const Prompt &prompt,
                                       const std::string &directory) {
  const SessionLength &length = options.generation.length;
  int64_t tokens = static_cast<int64_t>(prompt.tokens.size());
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

/// Compiling takes long: whether the code can run here is said before.
static ExitStatus checkDevice(const Options &options) {
  if (options.model.isArtifact() || options.target != "cuda")
    return Success;
  auto found = runtime::checkGpu(options.device, cuda::chip.str());
  return found ? Success : refuse(found.error().message);
}

static ExitStatus run(Options &options) {
  if (options.prompt.has_value() == options.tokens.has_value())
    return refuse(options.prompt ? "--prompt and --tokens: both were given"
                                 : "what to run: --prompt TEXT or --tokens IDS",
                  BadUsage);
  if (ExitStatus status = checkModelPath(options.model.getPath());
      status != Success)
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
  if (ExitStatus status = checkBeforeCompiling(options, *prompt, *directory);
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
  settings.device = options.device;
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

static void addGeneration(CLI::App &command, Options &options) {
  GenerationOptions &generation = options.generation;
  auto add = [&](const char *name, auto &value, const char *type,
                 const char *help) {
    return command.add_option(name, value, help)
        ->type_name(type)
        ->group("Generation");
  };
  generation.length.add(command);
  add("--temperature", generation.sampling.temperature, "T",
      "0 takes the most likely token [0]");
  add("--top-p", generation.sampling.topP, "P",
      "draw from the most likely tokens that reach this probability [1]");
  add("--seed", generation.sampling.seed, "N", "of the draws [0]")
      ->check(integer<uint64_t>(0, UINT64_MAX));
  command
      .add_flag("--ignore-eos", generation.ignoreEnd,
                "go on after the end token")
      ->group("Generation");
}

void rshard::tool::addRun(CLI::App &app, ExitStatus &status) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand(
      "run", "run a model or an artifact on all nodes in this process");
  options->model.add(*command);
  auto *input = command->add_option_group("Input");
  input->add_option("--prompt", options->prompt, "text")->type_name("TEXT");
  input
      ->add_option("--tokens", options->tokens,
                   "token ids: 1,2,3 or a .npy file")
      ->type_name("IDS|FILE");
  command
      ->add_option("--model", options->weights,
                   "directory with the weights and the tokenizer of an "
                   "artifact or of .mlir")
      ->type_name("DIR")
      ->check(notEmpty("a directory"));
  command
      ->add_option("--weights", options->values,
                   "random values instead of the model's, for benchmarks: "
                   "MODEL needs no more than config.json")
      ->type_name("random:SEED")
      ->check(randomSeed());
  addGeneration(*command, *options);
  command
      ->add_option("--logits", options->logits,
                   "write the logits of every position that is run, float32 "
                   "[tokens, vocabulary]")
      ->type_name("OUT.npy")
      ->check(outputFile());
  command
      ->add_option("--hidden", options->hidden,
                   "write the last hidden rows of a model without a head")
      ->type_name("OUT.npy")
      ->check(outputFile());
  command
      ->add_option("--chunk", options->generation.chunk,
                   "rows of a step of the prompt [512, on a GPU 4096]")
      ->type_name("N")
      ->check(atLeast(0));
  command->add_option("--threads", options->threads, "threads [all cores]")
      ->type_name("N")
      ->check(atLeast(0));
  command
      ->add_option("--target", options->target,
                   "cpu, or cuda: all nodes on one GPU [cpu]")
      ->type_name("TARGET")
      ->check(oneOf({"cpu", "cuda"}));
  command
      ->add_option("--device", options->device,
                   "the GPU, as the CUDA driver counts them [0]")
      ->type_name("N")
      ->check(atLeast(0));
  command
      ->add_option("--ptxas", options->assembler,
                   "the assembler for --target cuda, as in compile")
      ->type_name("FILE")
      ->check(notEmpty("a path"));
  command
      ->add_option("--cpu", options->cpu, "CPU to generate code for [native]")
      ->type_name("NAME")
      ->check(notEmpty("a name"));
  command->add_flag("--json", options->json,
                    "print one JSON object; `tokens` are prompt and "
                    "continuation");
  command->add_flag("--stats", options->stats,
                    "say times, memory and bytes on stderr");
  options->plan.add(*command);
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
