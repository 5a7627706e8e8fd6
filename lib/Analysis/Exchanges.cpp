//===- Exchanges.cpp - C6 of a module's programs --------------------------===//

#include "rshard/Analysis/Exchanges.h"
#include "PhasePrograms.h"
#include "rshard/Plan/PlanSymbols.h"

using namespace mlir;
using namespace rshard;

FailureOr<func::FuncOp> rshard::findDriver(ModuleOp module) {
  if (module.getOps<BufferOp>().empty())
    return func::FuncOp();
  auto driver = module.lookupSymbol<func::FuncOp>(driverName);
  if (!driver || driver.isDeclaration() || !driver.isPublic())
    return module.emitError("C6: holds no public function @")
           << driverName << " vs a module of the scheduled phase";
  for (auto func : module.getOps<func::FuncOp>()) {
    WalkResult walk = func.walk([&](ExchangeOp exchange) {
      if (func == driver)
        return WalkResult::advance();
      InFlightDiagnostic diag = exchange.emitOpError("C6: stands in @")
                                << func.getSymName() << " vs in @" << driverName
                                << ", which every rank runs";
      diag.attachNote(driver.getLoc()) << "the driver";
      return WalkResult(diag);
    });
    if (walk.wasInterrupted())
      return failure();
  }
  return driver;
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
  FailureOr<func::FuncOp> driver = findDriver(module);
  if (failed(driver))
    return failure();
  if (!*driver)
    return verifyRolePrograms(module, *classes, *plan, *routes);
  return verifyDriver(*driver, *classes, *plan, *routes);
}
