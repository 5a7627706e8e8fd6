//===- ConvertSegments.cpp - all segments of a scheduled module -----------===//

#include "rshard/Target/Segment/ConvertSegments.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "rshard/Target/Segment/RowOps.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace rshard {

LogicalResult checkScheduled(ModuleOp module) {
  if (!module.getOps<BufferOp>().empty())
    return success();
  bool partitioned = llvm::any_of(
      module.getOps(), [](Operation &op) { return op.hasAttr(roleAttrName); });
  bool planned = !module.getOps<PlacementOp>().empty();
  return module.emitError("holds no rshard.buffer vs a module of the scheduled "
                          "phase: run ")
         << (partitioned || planned ? "" : "--rshard-plan ")
         << (partitioned ? "" : "--rshard-partition ")
         << "--rshard-schedule before";
}

static void convertLaunch(LaunchOp launch) {
  OpBuilder ops(launch);
  Location loc = launch.getLoc();
  SmallVector<Value> arguments{launch.getLayer(), launch.getFrame()};
  for (ValueRange views : {launch.getInputs(), launch.getOutputs()})
    for (Value view : views)
      arguments.push_back(asKernelView(ops, loc, view));
  func::CallOp::create(ops, loc, launch.getSegment(), TypeRange(), arguments);
  launch.erase();
}

FailureOr<SegmentCounts> convertSegments(ModuleOp module,
                                         SegmentEmitter &emitter,
                                         Type workspaceElement) {
  SymbolTableCollection symbols;
  llvm::SetVector<func::FuncOp> segments;
  DenseMap<func::FuncOp, SmallVector<LaunchOp>> launches;
  WalkResult known = module.walk([&](LaunchOp launch) {
    auto segment = symbols.lookupNearestSymbolFrom<func::FuncOp>(
        launch, launch.getSegmentAttr());
    if (!segment || segment.isExternal()) {
      launch.emitOpError("runs ")
          << launch.getSegmentAttr() << ", which is no function with a body";
      return WalkResult::interrupt();
    }
    launches[segment].push_back(launch);
    return WalkResult::advance();
  });
  if (known.wasInterrupted())
    return failure();
  // In the order of the module, so that slots do not depend on the driver.
  for (auto function : module.getOps<func::FuncOp>())
    if (launches.contains(function))
      segments.insert(function);

  SegmentCounts counts;
  std::vector<SegmentPlan> plans;
  for (func::FuncOp segment : segments) {
    auto plan = SegmentPlan::create(
        segment, emitter.fusionRules(), [&](unsigned input, unsigned output) {
          return llvm::any_of(launches[segment], [&](LaunchOp launch) {
            StringAttr in = storageOf(launch.getInputs()[input]);
            StringAttr out = storageOf(launch.getOutputs()[output]);
            return !in || !out || in == out;
          });
        });
    if (failed(plan))
      return failure();
    counts.workspaceWidth =
        std::max(counts.workspaceWidth, plan->getWorkspaceWidth());
    counts.fused += plan->getNumFused();
    plans.push_back(std::move(*plan));
  }

  auto workspaceType = MemRefType::get(
      {ShapedType::kDynamic, counts.workspaceWidth}, workspaceElement);
  if (counts.workspaceWidth) {
    OpBuilder ops(module.getContext());
    ops.setInsertionPoint(segments.front());
    BufferOp::create(ops, module.getLoc(), workspaceName, "workspace",
                     workspaceType);
  }
  for (auto [segment, plan] : llvm::zip(segments, plans))
    if (failed(emitter.run(segment, plan, workspaceType)))
      return failure();
  for (func::FuncOp segment : segments) {
    for (LaunchOp launch : launches[segment])
      convertLaunch(launch);
    segment.erase();
  }
  return counts;
}

} // namespace rshard
