//===- Import.cpp - from a model directory to the model phase -------------===//

#include "rshard/Import/Import.h"
#include "Architecture.h"
#include "ConfigKeys.h"
#include "ModelBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "rshard/runtime/Hash.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace rshard;

static std::string join(StringRef directory, StringRef file) {
  llvm::SmallString<128> path(directory);
  llvm::sys::path::append(path, file);
  return path.str().str();
}

static const Architecture *readArchitecture(Config &config) {
  // The command line may give one name, files give a list.
  std::vector<std::string> names;
  if (config.isString("architectures"))
    names.push_back(*config.findString("architectures"));
  else
    names = config.getStrings("architectures");
  for (const std::string &name : names)
    if (const Architecture *architecture = findArchitecture(name))
      return architecture;
  config.refuse("architectures",
                "one of " + llvm::join(getArchitectureNames(), ", "),
                "--config architectures=NAME reads the model as another one");
  return nullptr;
}

/// End tokens as transformers has them: generation_config.json is asked first.
static std::vector<int64_t> readEndTokens(Config &config, StringRef directory) {
  StringRef key = "eos_token_id";
  int64_t vocabulary = config.getInteger("vocab_size");
  std::string path = join(directory, "generation_config.json");
  if (!config.isOverridden(key) && llvm::sys::fs::exists(path)) {
    FailureOr<Config> generation = Config::read(config.getReport(), path, {});
    if (failed(generation))
      return {};
    if (generation->has(key))
      return generation->getTokenIds(key, vocabulary);
  }
  return config.getTokenIds(key, vocabulary);
}

static ModelAttr readModelAttr(Config &config, StringRef directory,
                               const Architecture &architecture,
                               const runtime::SafeTensors &tensors) {
  Report &report = config.getReport();
  auto identity = runtime::modelIdentity(config.getText(), tensors);
  if (!identity)
    report.fail(report.locate(join(directory, "config.json")),
                identity.error().message);
  int64_t positions = config.getInteger(architecture.positionsKey);
  std::vector<int64_t> end = readEndTokens(config, directory);
  return ModelAttr::get(report.getContext(), architecture.name, positions, end,
                        identity ? *identity : std::string());
}

FailureOr<ImportedModel> rshard::importModel(MLIRContext *context,
                                             StringRef directory,
                                             const ImportOptions &options) {
  context->loadDialect<RShardDialect, func::FuncDialect>();
  Report report(context);
  FailureOr<Config> config =
      Config::read(report, join(directory, "config.json"), options.overrides);
  if (failed(config))
    return failure();
  const Architecture *architecture = readArchitecture(*config);
  if (!architecture)
    return failure();
  checkCommonKeys(*config);
  if (report.hasFailed())
    return failure();

  runtime::SafeTensors tensors;
  if (!options.randomWeights) {
    auto opened = runtime::SafeTensors::open(std::string(directory));
    if (!opened) {
      // The message says which file.
      report.fail(UnknownLoc::get(context), opened.error().message);
      return failure();
    }
    tensors = std::move(*opened);
    // Whatever lies alone in the directory was taken for the model's.
    std::string name = tensors.files().front().filename().string();
    if (tensors.files().size() == 1 && !StringRef(name).starts_with("model"))
      report.note("weights are read from " + name +
                  ": there is no model.safetensors");
  }
  ModelBuilder model(*config, options.randomWeights ? nullptr : &tensors);
  architecture->build(model);
  if (options.randomWeights)
    tensors = model.takeDeclared();
  ModelAttr attr = readModelAttr(*config, directory, *architecture, tensors);
  if (report.hasFailed())
    return failure();
  config->noteUnknown();
  model.noteUnused();

  ImportedModel imported;
  imported.module = model.takeModule();
  (*imported.module)->setAttr(modelAttrName, attr);
  if (failed(verify(*imported.module)))
    return failure();
  imported.notes = report.takeNotes();
  return imported;
}
