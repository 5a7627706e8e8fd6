//===- Exchanges.cpp - C6 of a module's programs --------------------------===//

#include "rshard/Analysis/Exchanges.h"
#include "PhasePrograms.h"
#include "rshard/Plan/PlanSymbols.h"

using namespace mlir;
using namespace rshard;

func::FuncOp rshard::findDriver(ModuleOp module) {
  for (auto func : module.getOps<func::FuncOp>())
    if (!func.isDeclaration() &&
        func.walk([](ExchangeOp) { return WalkResult::interrupt(); })
            .wasInterrupted())
      return func;
  return {};
}

FailureOr<int64_t> rshard::verifyExchanges(ModuleOp module) {
  FailureOr<RouteSet> routes = RouteSet::create(module);
  if (failed(routes))
    return failure();
  if (module.getOps<BufferOp>().empty())
    return verifyRolePrograms(module);
  func::FuncOp driver = findDriver(module);
  if (!driver)
    return module.emitError("C6: no function exchanges anything");
  FailureOr<tokenset::Plan> plan = readPlan(module);
  if (failed(plan))
    return failure();
  auto classes = module->getAttrOfType<DenseI32ArrayAttr>(layerClassesAttrName);
  if (!classes)
    return module.emitError("has no attribute '")
           << layerClassesAttrName << "'";
  for (int32_t one : classes.asArrayRef())
    if (one >= routes->getNumClasses())
      return module.emitError("C6: a layer is of class ")
             << one << " vs less than the " << routes->getNumClasses()
             << " classes of routes";
  if (plan->clientFirst + plan->clientLast >= classes.size())
    return module.emitError("client layers: ")
           << plan->clientFirst << " + " << plan->clientLast
           << " vs less than the " << classes.size() << " layers";
  return verifyDriver(driver, classes.asArrayRef(), *plan, *routes);
}
