//===- ModelOptions.cpp - the options that say which model ----------------===//

#include "ModelOptions.h"
#include "OptionChecks.h"
#include "llvm/Support/raw_ostream.h"
#include <CLI/CLI.hpp>
#include <filesystem>

using namespace rshard;
using namespace rshard::tool;

void ModelOptions::add(CLI::App &app) {
  std::string help =
      "a Hugging Face directory (config.json, *.safetensors) or .mlir";
  app.add_option("model", path,
                 other == Other::None ? help
                 : other == Other::Artifact
                     ? help + "; or what compile wrote"
                     : help + "; or a plan's JSON file, or what compile wrote")
      ->type_name(other == Other::None       ? "MODEL"
                  : other == Other::Artifact ? "MODEL|ARTIFACT"
                                             : "MODEL|PLAN|ARTIFACT")
      ->required(other != Other::Plan)
      ->check(notEmpty("a path"));
  app.add_option("--config", overrides,
                 "use VALUE (JSON) for KEY of config.json; may be repeated")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->take_all()
      ->check([](const std::string &text) {
        return parseConfigOverride(text) ? "" : "no KEY=VALUE: " + text;
      });
}

bool ModelOptions::isArtifact() const {
  std::error_code code;
  return std::filesystem::is_regular_file(path, code) &&
         !path.ends_with(".mlir") && !path.ends_with(".mlirbc");
}

mlir::FailureOr<ImportedModel> ModelOptions::load(mlir::MLIRContext &context,
                                                  bool randomWeights) const {
  ImportOptions options;
  options.randomWeights = randomWeights;
  for (const std::string &text : overrides)
    options.overrides.push_back(*parseConfigOverride(text));
  mlir::FailureOr<ImportedModel> model = loadModel(&context, path, options);
  if (mlir::succeeded(model))
    for (const std::string &note : model->notes)
      llvm::errs() << "note: " << note << "\n";
  return model;
}
