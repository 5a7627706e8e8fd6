//===- Compile.cpp - rshard compile ---------------------------------------===//

#include "Artifacts.h"
#include "Commands.h"
#include "ModelOptions.h"
#include "OptionChecks.h"
#include "Output.h"
#include "PlanOptions.h"
#include "rshard/Driver/CompilerContext.h"
#include "rshard/Driver/DiagnosticPrinter.h"
#include "rshard/Driver/Phases.h"
#include "rshard/Register.h"

using namespace rshard;
using namespace rshard::tool;

namespace {
struct Options {
  ModelOptions model;
  PlanOptions plan;
  std::string to = "artifact", from, output, dumpPhases, target = "cpu", cpu,
              assembler, weights, values;
};
} // namespace

/// Refuses options that would change nothing.
static ExitStatus checkUse(const Options &options) {
  if (options.to != "artifact")
    for (const auto &[name, value] : {std::pair("--cpu", &options.cpu),
                                      {"--ptxas", &options.assembler},
                                      {"--model", &options.weights}})
      if (!value->empty())
        return refuse(std::string(name) +
                          ": it is about artifacts, not about "
                          "IR of the phase " +
                          options.to,
                      BadUsage);
  if (ExitStatus status =
          checkAssembler(options.assembler, options.target == "cuda");
      status != Success)
    return status;
  if (!options.weights.empty() && !options.values.empty())
    return refuse("--model and --weights: both were given", BadUsage);
  return checkWeightsFile(options.weights, options.model);
}

static ExitStatus toArtifact(const Options &options) {
  if (options.output.empty() || options.output == "-") {
    return refuse("an artifact needs a file: -o FILE, or --to PHASE for IR",
                  BadUsage);
  }
  Compilation compilation({.model = options.model,
                           .plan = options.plan,
                           .target = targetOf(options.target),
                           .cpu = options.cpu.empty() ? "native" : options.cpu,
                           .assembler = options.assembler,
                           .from = options.from,
                           .dumpPhases = options.dumpPhases,
                           .weights = options.weights,
                           .randomWeights = !options.values.empty()});
  ExitStatus status = compilation.load();
  return status == Success ? compilation.compile(options.output) : status;
}

/// Stops at a phase and prints it.
static ExitStatus toPhase(const Options &options) {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  CompilerContext context(registry);
  DiagnosticPrinter printer(&context);

  PhaseOptions phases;
  phases.to = *findPhase(options.to);
  phases.dumpDirectory = options.dumpPhases;
  mlir::FailureOr<ImportedModel> model =
      options.model.load(context, !options.values.empty());
  if (mlir::failed(model))
    return BadInput;
  mlir::ModuleOp module = *model->module;
  if (!options.values.empty())
    if (ExitStatus status = checkHasWeights(module, options.model, "--weights");
        status != Success)
      return status;
  Phase from =
      options.from.empty() ? getPhase(module) : *findPhase(options.from);
  if (from == Phase::Model && phases.to > from) {
    if (ExitStatus status = options.plan.make(
            phases.plan, usualActivations(targetOf(options.target)));
        status != Success)
      return status;
  } else if (options.plan.given()) {
    return refuse("options of the plan: the plan is made after phase model, "
                  "from " +
                      getPhaseName(from).str() + " to " +
                      getPhaseName(phases.to).str() + " none is made",
                  BadUsage);
  }
  if (mlir::failed(runPhases(module, from, phases)))
    return BadInput;
  return writeOutput(options.output.empty() ? "-" : options.output,
                     printModule(module));
}

static ExitStatus run(const Options &options) {
  if (ExitStatus status = checkUse(options); status != Success)
    return status;
  if (!options.output.empty() && options.output != "-")
    if (ExitStatus status = checkOutput(
            options.output,
            {options.model.getPath(), options.weights, options.plan.getFile()});
        status != Success)
      return status;
  return options.to == "artifact" ? toArtifact(options) : toPhase(options);
}

void rshard::tool::addCompile(CLI::App &app, ExitStatus &status) {
  auto options = std::make_shared<Options>();
  CLI::App *command =
      app.add_subcommand("compile", "compile a model for the nodes of a plan");
  options->model.add(*command);
  options->plan.add(*command);
  std::vector<std::string> names;
  for (Phase phase :
       {Phase::Model, Phase::Planned, Phase::Partitioned, Phase::Scheduled})
    names.push_back(getPhaseName(phase).str());
  std::vector<std::string> targets = names;
  targets.push_back("artifact");
  auto add = [&](const char *name, std::string &value, const char *type,
                 const char *help) {
    return command->add_option(name, value, help)->type_name(type);
  };
  add("--to", options->to, "PHASE",
      "stop at model, planned, partitioned or scheduled and print the IR "
      "[artifact]")
      ->check(oneOf(targets));
  add("--from", options->from, "PHASE",
      "the phase of an .mlir MODEL [found by its ops]")
      ->check(oneOf(names));
  add("--dump-phases", options->dumpPhases, "DIR",
      "write the IR of every phase into this directory")
      ->check(notEmpty("a directory"));
  add("--target", options->target, "TARGET",
      "cpu or cuda [cpu]; their limits are in docs/commands.md")
      ->check(oneOf({"cpu", "cuda"}));
  add("--cpu", options->cpu, "NAME",
      "CPU to generate code for, as LLVM names it [native]")
      ->check(notEmpty("a name"));
  add("--ptxas", options->assembler, "FILE",
      "the assembler for --target cuda [$CUDA_HOME/bin, PATH, "
      "/usr/local/cuda/bin]")
      ->check(notEmpty("a path"));
  add("--model", options->weights, "DIR",
      "directory with the weights of an .mlir MODEL: the artifact then names "
      "them")
      ->check(notEmpty("a directory"));
  add("--weights", options->values, "random:SEED",
      "for random weights, as in run: no file is read")
      ->check(randomSeed());
  add("-o,--output", options->output, "FILE", "output file; - is stdout")
      ->check(notEmpty("a path"));
  command->footer("\nExamples:\n"
                  "  rshard compile models/llama -o llama.rshard\n"
                  "  rshard compile models/llama --comp 4 --attn 4x4 --to "
                  "partitioned\n");
  command->callback([options, &status] { status = run(*options); });
}
