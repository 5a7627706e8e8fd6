//===- Subject.cpp - the plan that a command is about ---------------------===//

#include "Subject.h"
#include "OptionChecks.h"
#include "mlir/Parser/Parser.h"
#include "rshard/Analysis/Exchanges.h"
#include "rshard/Driver/CompilerContext.h"
#include "rshard/Driver/DiagnosticPrinter.h"
#include "rshard/Driver/Phases.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Plan/RouteSet.h"
#include "rshard/Register.h"
#include "rshard/runtime/Artifact.h"
#include <algorithm>

using namespace rshard;
using namespace rshard::tool;
using tokenset::Mask;

void SubjectOptions::add(CLI::App &app) {
  model.add(app);
  plan.add(app);
  app.add_option("--length", length, what + " [" + std::to_string(length) + "]")
      ->type_name("N")
      ->check(atLeast(1));
}

int64_t SubjectOptions::Subject::limit() const {
  int64_t positions = model ? model->positions : 0;
  return positions ? std::min(plan.limit(), positions) : plan.limit();
}

std::vector<Mask> SubjectOptions::Subject::shardedMasks() const {
  if (model)
    return {model->layerMasks.begin() + plan.clientFirst,
            model->layerMasks.end() - plan.clientLast};
  if (!routeMasks.empty())
    return routeMasks;
  return {Mask::causal()};
}

std::vector<Mask> SubjectOptions::Subject::maskClasses() const {
  std::vector<Mask> classes;
  for (const Mask &mask : shardedMasks())
    if (std::find(classes.begin(), classes.end(), mask) == classes.end())
      classes.push_back(mask);
  return classes;
}

ExitStatus SubjectOptions::load(Subject &subject, Inspection inspect) const {
  const std::string &path = model.getPath();
  bool isPlan = path.size() > 5 && path.ends_with(".json");
  ExitStatus status = path.empty() || isPlan ? loadPlan(subject, isPlan)
                      : model.isArtifact()   ? loadArtifact(subject, inspect)
                                             : loadModel(subject, inspect);
  if (status == Success)
    subject.length = std::min(length, subject.limit());
  return status;
}

ExitStatus SubjectOptions::loadPlan(Subject &subject, bool isPlan) const {
  const std::string &path = model.getPath();
  if (isPlan && plan.given())
    return refuse(path + ": it is a plan: options of another one were given "
                         "too",
                  BadUsage);
  if (model.overridden())
    return refuse("--config: it changes a model's config.json, and there is no "
                  "model",
                  BadUsage);
  if (!isPlan)
    return plan.make(subject.plan);
  auto made = readPlanFile(path);
  if (!made)
    return refuse(made.error().message);
  subject.plan = std::move(*made);
  return Success;
}

ExitStatus SubjectOptions::loadPrograms(mlir::ModuleOp module, Subject &subject,
                                        Inspection inspect) const {
  mlir::FailureOr<int64_t> exchanges = verifyExchanges(module);
  mlir::FailureOr<RouteSet> routes = mlir::failure();
  if (mlir::succeeded(exchanges))
    routes = RouteSet::create(module);
  if (mlir::failed(routes))
    return BadInput;
  subject.exchanges = *exchanges;
  subject.routeMasks = routes->getMasks();
  subject.length = std::min(length, subject.limit());
  return inspect && mlir::failed(inspect(module)) ? BadInput : Success;
}

ExitStatus SubjectOptions::loadModel(Subject &subject,
                                     Inspection inspect) const {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  CompilerContext context(registry);
  DiagnosticPrinter printer(&context);
  mlir::FailureOr<ImportedModel> imported = model.load(context);
  if (mlir::failed(imported))
    return BadInput;
  mlir::ModuleOp module = *imported->module;

  if (getPhase(module) == Phase::Model) {
    tokenset::Plan made;
    if (ExitStatus status = plan.make(made); status != Success)
      return status;
    if (mlir::failed(attachPlan(module, made)))
      return BadInput;
  } else if (plan.given()) {
    return refuse(model.getPath() + ": it holds a plan: options of another "
                                    "one were given too",
                  BadUsage);
  }
  mlir::FailureOr<tokenset::Plan> attached = readPlan(module);
  if (mlir::failed(attached))
    return BadInput;
  subject.plan = std::move(*attached);
  if (getPhase(module) <= Phase::Planned) {
    mlir::FailureOr<ModelFacts> facts = readModelFacts(module);
    if (mlir::failed(facts))
      return BadInput;
    subject.model = std::move(*facts);
    return Success;
  }
  return loadPrograms(module, subject, inspect);
}

static ModelFacts getFacts(const runtime::ModelInfo &model) {
  ModelFacts facts;
  for (int32_t mask : model.layerMask)
    facts.layerMasks.push_back(model.masks[static_cast<size_t>(mask)]);
  facts.positions = model.maxPositions;
  facts.widths = {.enter = model.enterWidth(),
                  .leave = model.leaveWidth,
                  .query = model.heads * model.headSize,
                  .key = model.kvHeads * model.headSize,
                  .heads = model.heads};
  return facts;
}

ExitStatus SubjectOptions::loadArtifact(Subject &subject,
                                        Inspection inspect) const {
  const std::string &path = model.getPath();
  if (plan.given())
    return refuse(path + ": it holds a plan: options of another one were given "
                         "too",
                  BadUsage);
  if (model.overridden())
    return refuse(path + ": the artifact's model cannot be changed: --config",
                  BadUsage);
  auto artifact = runtime::Artifact::inspect(path);
  if (!artifact)
    return refuse(artifact.error().message);
  const runtime::Manifest &manifest = artifact->manifest();

  mlir::DialectRegistry registry;
  registerDialects(registry);
  CompilerContext context(registry);
  DiagnosticPrinter printer(&context);
  auto module =
      mlir::parseSourceString<mlir::ModuleOp>(artifact->ir(), &context, path);
  if (!module)
    return BadInput;
  mlir::FailureOr<tokenset::Plan> attached = readPlan(*module);
  if (mlir::failed(attached))
    return BadInput;
  if (tokenset::printPlan(*attached) != manifest.plan)
    return refuse(path + ": the plan of its manifest is not that of its IR");
  subject.plan = std::move(*attached);
  subject.model = getFacts(manifest.model);
  return loadPrograms(*module, subject, inspect);
}
