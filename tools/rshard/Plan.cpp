//===- Plan.cpp - rshard plan ---------------------------------------------===//

#include "Commands.h"
#include "OptionChecks.h"
#include "Output.h"
#include "Subject.h"
#include "rshard/tokenset/Views.h"
#include "llvm/Support/raw_ostream.h"
#include <CLI/CLI.hpp>

using namespace rshard;
using namespace rshard::tool;

namespace {
struct Options {
  SubjectOptions subject{128, "tokens of the text whose views are said"};
  std::string output = "-";
};
} // namespace

static ExitStatus run(const Options &options) {
  if (options.output != "-")
    if (ExitStatus status =
            checkOutput(options.output, {options.subject.getPath()});
        status != Success)
      return status;
  SubjectOptions::Subject subject;
  if (ExitStatus status = options.subject.load(subject); status != Success)
    return status;
  std::string text = tokenset::printPlan(subject.plan);
  if (ExitStatus status = writeOutput(options.output, text); status != Success)
    return status;
  auto views = tokenset::summarizeViews(subject.plan, subject.length);
  if (!views)
    return refuse(views.error().message);
  llvm::errs() << tokenset::describe(subject.plan, *views) << "\n";
  return Success;
}

void rshard::tool::addPlan(CLI::App &app, ExitStatus &status) {
  auto options = std::make_shared<Options>();
  CLI::App *command =
      app.add_subcommand("plan", "make a plan by hand and write it as JSON");
  options->subject.add(*command);
  command
      ->add_option("-o,--output", options->output, "output file; - is stdout")
      ->type_name("FILE")
      ->check(notEmpty("a path"));
  command->footer("\nExamples:\n"
                  "  rshard plan --comp 8 --cluster 2 --attn 8x8\n"
                  "  rshard plan models/llama --comp 4 --cluster 2 --period 7 "
                  "--client-layers 1,0 -o plan.json\n");
  command->callback([options, &status] { status = run(*options); });
}
