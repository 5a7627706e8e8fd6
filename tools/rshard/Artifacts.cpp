//===- Artifacts.cpp - from a model to an artifact on disk ----------------===//

#include "Artifacts.h"
#include "ArtifactCache.h"
#include "Progress.h"
#include "RShard/RShard.h"
#include "rshard/Driver/ModelFacts.h"
#include "rshard/Driver/Program.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Register.h"
#include "rshard/Target/CPU/GenerateKernels.h"
#include "rshard/Target/CUDA/GenerateKernels.h"
#include "rshard/Target/Host/HostCpu.h"
#include "rshard/runtime/ABI.h"
#include "rshard/runtime/Weights.h"
#include <utility>

using namespace rshard;
using namespace rshard::tool;

static mlir::DialectRegistry getRegistry() {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  return registry;
}

Compilation::Compilation(ArtifactRequest request)
    : request(std::move(request)), context(getRegistry()), printer(&context) {}

ModelTraits tool::traitsOf(const runtime::Manifest &manifest) {
  const runtime::ModelInfo &model = manifest.model;
  auto plan = tokenset::parsePlan(manifest.plan);
  return {model.architecture, model.attentionOnly, model.hasHead,
          plan ? std::min(plan->limit(), model.maxPositions)
               : model.maxPositions};
}

ExitStatus Compilation::readTraits() {
  mlir::ModuleOp module = *model.module;
  auto attr = module->getAttrOfType<ModelAttr>(modelAttrName);
  if (!attr || from > Phase::Planned)
    return Success;
  mlir::FailureOr<bool> rows = isAttentionOnly(module), head = hasHead(module);
  if (mlir::failed(rows) || mlir::failed(head))
    return BadInput;
  int64_t positions = options.phases.plan.limit();
  if (from == Phase::Planned) {
    mlir::FailureOr<tokenset::Plan> plan = readPlan(module);
    if (mlir::failed(plan))
      return BadInput;
    positions = plan->limit();
  }
  if (attr.getPositions())
    positions = std::min(positions, attr.getPositions());
  traits = {attr.getArchitecture().str(), *rows, *head, positions};
  return Success;
}

ExitStatus tool::checkAssembler(const std::string &assembler, bool onGpu) {
  return assembler.empty() || onGpu
             ? Success
             : refuse("--ptxas: it assembles code for --target cuda alone",
                      BadUsage);
}

ExitStatus tool::checkWeightsFile(const std::string &weights,
                                  const ModelOptions &model) {
  std::error_code code;
  if (weights.empty() || !std::filesystem::is_directory(model.getPath(), code))
    return Success;
  return refuse("--model: " + model.getPath() +
                    " is a directory and holds its weights",
                BadUsage);
}

ExitStatus tool::checkHasWeights(mlir::ModuleOp module,
                                 const ModelOptions &model,
                                 const char *option) {
  if (!module.getOps<WeightOp>().empty())
    return Success;
  return refuse(model.getPath() + ": the model has no weights: " + option);
}

ExitStatus Compilation::checkWeights() {
  for (auto [given, option] : {std::pair(request.randomWeights, "--weights"),
                               {!request.weights.empty(), "--model"}})
    if (given)
      if (ExitStatus status =
              checkHasWeights(*model.module, request.model, option);
          status != Success)
        return status;
  return Success;
}

/// C10: the artifact names the model's identity and the hash of its weights.
ExitStatus Compilation::identify() {
  if (request.randomWeights)
    return Success;
  std::string directory = request.weights;
  std::error_code code;
  if (directory.empty() &&
      std::filesystem::is_directory(request.model.getPath(), code))
    directory = request.model.getPath();
  if (directory.empty())
    return Success;
  auto weights = runtime::Weights::open(directory);
  if (!weights)
    return refuse(weights.error().message);
  Progress progress("hashing weights");
  auto content = weights->content(progress);
  if (!content)
    return refuse(content.error().message);
  options.content = *content;
  // IR that was written by hand does not say which model it is.
  mlir::ModuleOp module = *model.module;
  auto attr = module->getAttrOfType<ModelAttr>(modelAttrName);
  if (attr && attr.getHash().empty())
    module->setAttr(modelAttrName,
                    ModelAttr::get(&context, attr.getArchitecture(),
                                   attr.getPositions(), attr.getEnd(),
                                   weights->identity()));
  return Success;
}

tokenset::RowTypes Compilation::rowTypes() {
  for (auto placement : model.module->getOps<PlacementOp>())
    return getRowTypes(placement);
  return options.phases.plan.types;
}

ExitStatus Compilation::load() {
  mlir::FailureOr<ImportedModel> loaded =
      request.model.load(context, request.randomWeights);
  if (mlir::failed(loaded))
    return BadInput;
  model = std::move(*loaded);
  from =
      request.from.empty() ? getPhase(*model.module) : *findPhase(request.from);
  if (from == Phase::Model) {
    if (ExitStatus status = request.plan.make(options.phases.plan,
                                              usualActivations(request.target));
        status != Success)
      return status;
  } else if (request.plan.given()) {
    return refuse(request.model.getPath() + ": it holds a plan: options "
                                            "of another one were given too",
                  BadUsage);
  }
  return readTraits();
}

ExitStatus Compilation::prepare() {
  if (ExitStatus status = checkWeights(); status != Success)
    return status;
  // Before the weights are read.
  auto check =
      request.target == Target::CUDA ? cuda::checkRowTypes : cpu::checkRowTypes;
  if (mlir::failed(
          check(rowTypes(), [&] { return model.module->emitError(); })) ||
      mlir::failed(
          HostCpu::get(request.cpu, [&] { return model.module->emitError(); })))
    return BadInput;
  options.phases.dumpDirectory = request.dumpPhases;
  options.target = request.target;
  options.cpu = request.cpu;
  options.assembler = request.assembler;
  return identify();
}

ExitStatus Compilation::getKey(std::string &key) {
  // Another build of the compiler may generate other code.
  auto self = runtime::MappedFile::open("/proc/self/exe");
  if (!self)
    return refuse(self.error().message);
  auto target =
      HostCpu::get(request.cpu, [&] { return model.module->emitError(); });
  if (mlir::failed(target))
    return BadInput;
  std::string text =
      runtime::sha256(self->bytes()) + "\n" + getProducer() + "\nabi " +
      std::to_string(RSHARD_ABI_VERSION) + "\n" + target->name + " " +
      target->featureString() + "\n" +
      (request.target == Target::CUDA ? "cuda " + request.assembler + "\n"
                                      : "") +
      options.content + "\n";
  if (from == Phase::Model)
    text += tokenset::printPlan(options.phases.plan);
  key = runtime::sha256(text + printModule(*model.module));
  return Success;
}

ExitStatus Compilation::generate(const std::filesystem::path &path) {
  mlir::FailureOr<Program> program =
      compileProgram(*model.module, from, options);
  if (mlir::failed(program) ||
      mlir::failed(writeProgram(&context, *program, path.string())))
    return BadInput;
  return Success;
}

ExitStatus Compilation::compile(const std::filesystem::path &path) {
  ExitStatus status = prepare();
  return status == Success ? generate(path) : status;
}

ExitStatus Compilation::openCached(std::optional<runtime::Artifact> &artifact) {
  if (ExitStatus status = prepare(); status != Success)
    return status;
  std::string key;
  if (ExitStatus status = getKey(key); status != Success)
    return status;
  auto directory = openArtifactCache();
  if (!directory)
    return refuse(directory.error().message);
  std::filesystem::path path = *directory / (key + ".rshard");
  auto opened = runtime::Artifact::open(path);
  // A damaged file is made again.
  if (!opened) {
    llvm::errs() << "compiling " << request.model.getPath() << "\n";
    if (ExitStatus status = generate(path); status != Success)
      return status;
    opened = runtime::Artifact::open(path);
  }
  if (!opened)
    return refuse(opened.error().message);
  artifact = std::move(*opened);
  artifact->setName(request.model.getPath());
  return Success;
}
