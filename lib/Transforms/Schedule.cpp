//===- Schedule.cpp - one driver for all ranks, with explicit messages ----===//

#include "AttnProgram.h"
#include "ElideMerges.h"
#include "NCCL/NCCL.h"
#include "Scheduler.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Transforms/Passes.h"
#include "rshard/tokenset/RowOrder.h"

namespace rshard {
#define GEN_PASS_DEF_SCHEDULEPASS
#include "rshard/Transforms/Passes.h.inc"
} // namespace rshard

using namespace mlir;
using namespace rshard;

static LogicalResult checkResults(func::FuncOp client) {
  for (Type result : client.getResultTypes())
    if (auto rows = dyn_cast<ShapedType>(result);
        rows && !rows.getElementType().isF32())
      return client.emitOpError("returns ")
             << rows << " vs f32 rows, which the caller reads";
  return success();
}

LogicalResult Scheduler::run() {
  FailureOr<tokenset::Plan> plan = readPlan(module);
  if (failed(plan))
    return failure();
  FailureOr<ProgramSet> foundPrograms = ProgramSet::create(module);
  if (failed(foundPrograms))
    return failure();
  programs = *foundPrograms;
  auto client = programs->get(Role::Client);
  if (failed(checkResults(client)))
    return failure();
  FailureOr<RouteSet> foundRoutes = RouteSet::create(module);
  if (failed(foundRoutes))
    return failure();
  routes = *foundRoutes;
  keepsOrder = tokenset::keepsRowOrder(*plan);
  if (keepsOrder)
    elideMerges(module);
  FailureOr<SmallVector<PartialAttentionOp>> attentions =
      readAttnProgram(programs->get(Role::Attn), *routes);
  if (failed(attentions))
    return failure();
  partials = std::move(*attentions);
  exchanges = tokenset::listExchanges(routes->getNumClasses());
  entering = routes->getEnter().getTensor(0);
  leaving = routes->getLeave().getTensor(0);
  firstSharded = plan->clientFirst;
  numClientLayers = plan->clientFirst + plan->clientLast;
  FailureOr<ArrayRef<int32_t>> classes = readLayerClasses(module, *plan);
  if (failed(classes))
    return failure();
  numShardedLayers = static_cast<int64_t>(classes->size()) - numClientLayers;

  OpBuilder builder(module.getContext());
  builder.setInsertionPointToEnd(module.getBody());
  SmallVector<Location> locations;
  for (Role role : ProgramSet::roles)
    locations.push_back(programs->get(role).getLoc());
  auto driver = func::FuncOp::create(
      builder, builder.getFusedLoc(locations), driverName,
      builder.getFunctionType(FrameType::get(module.getContext()), {}));
  Block *body = driver.addEntryBlock();
  OpBuilder declarations(module.getContext());
  declarations.setInsertionPoint(*module.getOps<func::FuncOp>().begin());
  frame = std::make_unique<Frame>(declarations, driver);
  DriverBuilder b(OpBuilder::atBlockEnd(body), driver.getLoc());
  clientRows = {Place::Prefix, poolOf("enter", entering),
                frame->size("client.position")};
  module.walk([&](RotaryOp rotary) {
    auto angles = static_cast<int64_t>(2 * rotary.getFrequencies().size());
    frame->buffer("rotary." + rotary.getSymName(),
                  MemRefType::get({ShapedType::kDynamic, angles},
                                  declarations.getF32Type()),
                  "positions");
  });
  if (failed(walk(client.getBody().front(), b)))
    return failure();
  func::ReturnOp::create(b, b.loc);

  numBuffers = frame->getNumBuffers();
  numTables = frame->getNumTables();
  for (Role role : ProgramSet::roles)
    programs->get(role).erase();
  return success();
}

namespace {
struct SchedulePass : rshard::impl::SchedulePassBase<SchedulePass> {
  void runOnOperation() override {
    Scheduler scheduler(getOperation());
    if (failed(scheduler.run()))
      return signalPassFailure();
    numExchanges += scheduler.numExchanges;
    numBuffers += scheduler.numBuffers;
    numTables += scheduler.numTables;
  }
};
} // namespace
