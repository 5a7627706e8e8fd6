//===- Compile.cpp - rshard compile ---------------------------------------===//

#include "Commands.h"
#include "ModelOptions.h"
#include "PlanOptions.h"
#include "mlir/IR/MLIRContext.h"
#include "rshard/Driver/DiagnosticPrinter.h"
#include "rshard/Driver/Phases.h"
#include "rshard/Register.h"
#include <CLI/CLI.hpp>

using namespace rshard;
using namespace rshard::tool;

namespace {
struct Options {
  ModelOptions model;
  PlanOptions plan;
  std::string to = "scheduled", from, output = "-", dumpPhases;
};
} // namespace

static ExitStatus run(const Options &options) {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry);
  DiagnosticPrinter printer(&context);

  PhaseOptions phases;
  phases.to = *findPhase(options.to);
  phases.dumpDirectory = options.dumpPhases;
  mlir::FailureOr<ImportedModel> model = options.model.load(context);
  if (mlir::failed(model))
    return BadInput;
  mlir::ModuleOp module = *model->module;
  Phase from =
      options.from.empty() ? getPhase(module) : *findPhase(options.from);
  if (from == Phase::Model && phases.to > from) {
    auto plan = options.plan.make();
    if (!plan) {
      llvm::errs() << plan.error().message << "\n";
      return BadInput;
    }
    phases.plan = *plan;
  } else if (options.plan.given()) {
    llvm::errs() << "error: options of the plan: the plan is made after phase "
                    "model, from "
                 << getPhaseName(from) << " to " << getPhaseName(phases.to)
                 << " none is made\n";
    return BadUsage;
  }
  if (mlir::failed(runPhases(module, from, phases)) ||
      mlir::failed(writeText(&context, options.output, printModule(module))))
    return BadInput;
  return Success;
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
  command
      ->add_option("--to", options->to, "stop at this phase and print its IR")
      ->type_name("PHASE")
      ->check(CLI::IsMember(names));
  command
      ->add_option("--from", options->from,
                   "the phase of an .mlir MODEL [found by its ops]")
      ->type_name("PHASE")
      ->check(CLI::IsMember(names));
  command
      ->add_option("--dump-phases", options->dumpPhases,
                   "write the IR of every phase into this directory")
      ->type_name("DIR");
  command
      ->add_option("-o,--output", options->output, "output file; - is stdout")
      ->type_name("FILE");
  command->footer("\nExamples:\n"
                  "  rshard compile models/llama --to model\n"
                  "  rshard compile models/llama --comp 4 --attn 4x4 --to "
                  "scheduled -o llama.mlir\n");
  command->callback([options, &status] { status = run(*options); });
}
