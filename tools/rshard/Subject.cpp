//===- Subject.cpp - the plan that a command is about ---------------------===//

#include "Subject.h"
#include "OptionChecks.h"
#include "rshard/Analysis/Exchanges.h"
#include "rshard/Driver/CompilerContext.h"
#include "rshard/Driver/DiagnosticPrinter.h"
#include "rshard/Driver/Phases.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Plan/RouteSet.h"
#include "rshard/Register.h"
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
  if (!routeMasks.empty())
    return routeMasks;
  if (!model)
    return {Mask::causal()};
  return {model->layerMasks.begin() + plan.clientFirst,
          model->layerMasks.end() - plan.clientLast};
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
  auto made = isPlan ? readPlanFile(path) : plan.make();
  if (!made)
    return refuse(made.error().message);
  subject.plan = std::move(*made);
  return Success;
}

mlir::LogicalResult SubjectOptions::loadPrograms(mlir::ModuleOp module,
                                                 Subject &subject) {
  mlir::FailureOr<int64_t> exchanges = verifyExchanges(module);
  mlir::FailureOr<RouteSet> routes = mlir::failure();
  if (mlir::succeeded(exchanges))
    routes = RouteSet::create(module);
  if (mlir::failed(routes))
    return mlir::failure();
  subject.exchanges = *exchanges;
  subject.routeMasks = routes->getMasks();
  return mlir::success();
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
    auto made = plan.make();
    if (!made)
      return refuse(made.error().message);
    if (mlir::failed(attachPlan(module, *made)))
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
  if (mlir::failed(loadPrograms(module, subject)))
    return BadInput;
  subject.length = std::min(length, subject.limit());
  return inspect && mlir::failed(inspect(module)) ? BadInput : Success;
}
