//===- Artifacts.cpp - from a model to an artifact on disk ----------------===//

#include "Artifacts.h"
#include "ArtifactCache.h"
#include "Progress.h"
#include "RShard/RShard.h"
#include "rshard/Driver/CompilerContext.h"
#include "rshard/Driver/DiagnosticPrinter.h"
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

namespace {

mlir::DialectRegistry getRegistry() {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  return registry;
}

/// A model that has been loaded and planned, ready to be compiled.
class Compilation {
public:
  explicit Compilation(const ArtifactRequest &request)
      : request(request), accept(request.accept), context(getRegistry()),
        printer(&context) {}

  ExitStatus load();
  /// The hash of everything that the artifact depends on.
  ExitStatus getKey(std::string &key);
  ExitStatus compile(const std::filesystem::path &path);
  /// Opens it, made anew if it is not there, and asks about it if the module
  /// could not tell.
  ExitStatus open(const std::filesystem::path &path,
                  std::optional<runtime::Artifact> &artifact);

private:
  ExitStatus checkWeights();
  ExitStatus identify();
  /// Of the plan, which the module may already hold.
  tokenset::RowTypes rowTypes();

  const ArtifactRequest &request;
  AcceptModel accept; ///< empty once it was asked
  CompilerContext context;
  DiagnosticPrinter printer;
  ImportedModel model;
  Phase from = Phase::Model;
  ProgramOptions options;
};

} // namespace

ModelTraits tool::traitsOf(const runtime::ModelInfo &model) {
  return {model.architecture, model.attentionOnly, model.hasHead};
}

static ExitStatus ask(const AcceptModel &accept, const ModelTraits &traits) {
  auto accepted = accept(traits);
  return accepted ? Success : refuse(accepted.error().message);
}

/// Leaves `accept` empty once it was asked: a module of a later phase does not
/// say, but the artifact's manifest will.
static ExitStatus ask(AcceptModel &accept, mlir::ModuleOp module, Phase phase) {
  auto attr = module->getAttrOfType<ModelAttr>(modelAttrName);
  if (!accept || !attr || phase > Phase::Planned)
    return Success;
  mlir::FailureOr<bool> rows = isAttentionOnly(module), head = hasHead(module);
  if (mlir::failed(rows) || mlir::failed(head))
    return BadInput;
  return ask(std::exchange(accept, {}),
             ModelTraits{attr.getArchitecture().str(), *rows, *head});
}

ExitStatus tool::askModel(const ModelOptions &model, AcceptModel &accept) {
  CompilerContext context(getRegistry());
  DiagnosticPrinter printer(&context);
  mlir::FailureOr<ImportedModel> loaded = model.load(context);
  if (mlir::failed(loaded))
    return BadInput;
  return ask(accept, *loaded->module, getPhase(*loaded->module));
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
    auto plan = request.plan.make(usualActivations(request.target));
    if (!plan)
      return refuse(plan.error().message);
    options.phases.plan = std::move(*plan);
  } else if (request.plan.given()) {
    return refuse(request.model.getPath() + ": it holds a plan: options "
                                            "of another one were given too",
                  BadUsage);
  }
  if (ExitStatus status = ask(accept, *model.module, from); status != Success)
    return status;
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

ExitStatus Compilation::compile(const std::filesystem::path &path) {
  mlir::FailureOr<Program> program =
      compileProgram(*model.module, from, options);
  if (mlir::failed(program) ||
      mlir::failed(writeProgram(&context, *program, path.string())))
    return BadInput;
  return Success;
}

ExitStatus Compilation::open(const std::filesystem::path &path,
                             std::optional<runtime::Artifact> &artifact) {
  auto opened = runtime::Artifact::open(path);
  // A damaged file is made again.
  if (!opened) {
    llvm::errs() << "compiling " << request.model.getPath() << "\n";
    if (ExitStatus status = compile(path); status != Success)
      return status;
    opened = runtime::Artifact::open(path);
  }
  if (!opened)
    return refuse(opened.error().message);
  artifact = std::move(*opened);
  return accept ? ask(accept, traitsOf(artifact->manifest().model)) : Success;
}

ExitStatus rshard::tool::compileArtifact(const ArtifactRequest &request,
                                         const std::filesystem::path &path) {
  Compilation compilation(request);
  if (ExitStatus status = compilation.load(); status != Success)
    return status;
  return compilation.compile(path);
}

ExitStatus
rshard::tool::compileCached(const ArtifactRequest &request,
                            std::optional<runtime::Artifact> &artifact) {
  Compilation compilation(request);
  if (ExitStatus status = compilation.load(); status != Success)
    return status;
  std::string key;
  if (ExitStatus status = compilation.getKey(key); status != Success)
    return status;
  auto directory = openArtifactCache();
  if (!directory)
    return refuse(directory.error().message);
  return compilation.open(*directory / (key + ".rshard"), artifact);
}
