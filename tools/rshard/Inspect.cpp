//===- Inspect.cpp - rshard inspect ---------------------------------------===//

#include "Commands.h"
#include "Count.h"
#include "OptionChecks.h"
#include "rshard/Driver/DiagnosticPrinter.h"
#include "rshard/runtime/Artifact.h"
#include "rshard/tokenset/Views.h"
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

using namespace rshard;
using namespace rshard::tool;
using nlohmann::json;

namespace {
struct Options {
  std::string path;
  bool ir = false, json = false;
};
} // namespace

static void printSummary(const runtime::Artifact &artifact) {
  const runtime::Manifest &manifest = artifact.manifest();
  const runtime::ModelInfo &model = manifest.model;
  auto line = [](const std::string &name, const std::string &value) {
    llvm::outs() << name << std::string(14 - name.size(), ' ') << value << "\n";
  };
  auto count = [](auto value) { return std::to_string(value); };
  line("producer", manifest.producer);
  line("abi", count(manifest.abi));
  line("architecture", model.architecture);
  line("layers", count(model.layers) + " of " + count(model.leaveWidth) + " (" +
                     count(model.heads) + " heads, " + count(model.kvHeads) +
                     " key heads of " + count(model.headSize) + ")");
  if (model.attentionOnly)
    line("takes", "rows of queries, keys and values: attention only");
  else
    line("vocabulary", count(model.vocabulary));
  line("positions", count(model.maxPositions));
  if (auto plan = tokenset::parsePlan(manifest.plan)) {
    auto name = [](tokenset::ElementType type) {
      return std::string(tokenset::elementTypeName(type));
    };
    line("rows", name(plan->types.activations) + ", partials " +
                     name(plan->types.partials));
    line("plan", "client, " + count(plan->comps()) + " CompNodes and " +
                     count(plan->queryShards()) + "x" +
                     count(plan->keyShards()) + " AttnNodes on " +
                     tool::count(plan->rankCount(), "rank"));
    int64_t length = std::min<int64_t>(128, plan->limit());
    if (auto views = tokenset::summarizeViews(*plan, length))
      line("views", tokenset::describe(*plan, *views));
  }
  line("target", manifest.target.name + ", " + manifest.target.cpu);
  std::string missing = runtime::missingCpuFeature(manifest.target.features);
  line("features", count(manifest.target.features.size()) +
                       (missing.empty() ? ", this machine has them all"
                                        : ", this machine lacks " + missing));
  line("frame", count(manifest.buffers.size()) + " buffers, " +
                    count(manifest.tables.size()) + " tables, " +
                    count(manifest.weightSlots()) + " weights");
  line("host code", count(artifact.host().size()) + " bytes");
  line("host hash", artifact.hostHash());
  line("ir hash", manifest.hashes.ir);
  line("model hash", manifest.hashes.model);
  line("weights hash", manifest.hashes.content);
}

static ExitStatus run(const Options &options) {
  auto artifact = runtime::Artifact::inspect(options.path);
  if (!artifact) {
    printError(llvm::errs(), artifact.error().message);
    return BadInput;
  }
  if (options.ir)
    llvm::outs() << artifact->ir();
  else if (options.json)
    llvm::outs() << artifact->manifest().toJson() << "\n";
  else
    printSummary(*artifact);
  return Success;
}

void rshard::tool::addInspect(CLI::App &app, ExitStatus &status) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand(
      "inspect", "look into an artifact without running its code");
  command->add_option("artifact", options->path, "what compile wrote")
      ->type_name("ARTIFACT")
      ->required()
      ->check(notEmpty("a path"));
  auto *ir = command->add_flag("--ir", options->ir,
                               "print the IR of the partitioned phase");
  command->add_flag("--json", options->json, "print the manifest")
      ->excludes(ir);
  command->footer("\nExample:\n  rshard inspect model.rshard --json\n");
  command->callback([options, &status] { status = run(*options); });
}
