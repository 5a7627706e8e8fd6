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
  FailureOr<tokenset::Plan> plan = readPlan(module);
  if (failed(plan))
    return failure();
  FailureOr<ArrayRef<int32_t>> classes = readLayerClasses(module, *plan);
  if (failed(classes))
    return failure();
  for (int32_t one : *classes)
    if (one >= routes->getNumClasses())
      return module.emitError("C6: a layer is of class ")
             << one << " vs less than the " << routes->getNumClasses()
             << " classes of routes";
  if (module.getOps<BufferOp>().empty())
    return verifyRolePrograms(module, *classes, *plan, *routes);
  func::FuncOp driver = findDriver(module);
  if (!driver)
    return module.emitError("C6: no function exchanges anything");
  return verifyDriver(driver, *classes, *plan, *routes);
}
