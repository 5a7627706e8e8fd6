//===- Partition.cpp - one program per role -------------------------------===//

#include "Partitioner.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Remarks.h"
#include "rshard/Plan/ModelInput.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Transforms/Passes.h"

namespace rshard {
#define GEN_PASS_DEF_PARTITIONPASS
#include "rshard/Transforms/Passes.h.inc"
} // namespace rshard

using namespace mlir;
using namespace rshard;

/// The model is called with token ids or with rows, and with their positions.
LogicalResult Partitioner::checkInputs() {
  takesRows = isAttentionOnly(layers);
  if (main.getFunctionType().getInputs() !=
          ArrayRef<Type>{takesRows ? rows : ids, ids} ||
      main.getNumResults() != 1)
    return main.emitOpError("has type ")
           << main.getFunctionType()
           << " vs (tokens, positions) -> rows or, attention-only, (rows of "
              "the layer, positions) -> rows";
  if (layers.getPositions() != main.getArgument(1))
    return layers.emitOpError(
        "positions are not the second argument of the model");
  return success();
}

/// An attention-only program: the caller's rows are the query heads, the key
/// heads and the value heads of one layer, and go into it as they are.
LogicalResult Partitioner::checkCallersRows() {
  if (layers.getInput() != main.getArgument(0))
    return layers.emitOpError("takes other rows vs the first argument of @")
           << main.getSymName() << ", the rows of the caller";
  if (order.size() != 1)
    return layers.emitOpError("takes the rows of the caller: ")
           << order.size() << " layers vs 1";
  AttentionOp attention = kinds.front().getAttention();
  auto query = cast<RankedTensorType>(attention.getQuery().getType());
  auto key = cast<RankedTensorType>(attention.getKey().getType());
  auto required = RankedTensorType::get(
      {ShapedType::kDynamic, query.getDimSize(1) + 2 * key.getDimSize(1),
       query.getDimSize(2)},
      query.getElementType());
  if (rows == required)
    return success();
  InFlightDiagnostic diag = layers.emitOpError("takes the rows of the caller: ")
                            << rows << " vs " << required;
  diag.attachNote(attention.getLoc())
      << "the query, key and value heads of this attention, one behind the "
         "other";
  return diag;
}

LogicalResult Partitioner::analyze() {
  FailureOr<tokenset::Plan> plan = readPlan(module);
  if (failed(plan))
    return failure();
  FailureOr<LayersOp> found = findLayers(module);
  if (failed(found))
    return failure();
  layers = *found;
  main = layers->getParentOfType<func::FuncOp>();
  Block &body = main.getBody().front();
  ids = RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
  index = builder.getIndexType();
  rows = layers.getInput().getType();
  leaving = layers.getResult().getType();
  partialElement = (*module.getOps<PlacementOp>().begin()).getPartialType();
  if (failed(checkInputs()) ||
      failed(checkTokenRules(main, /*allowMixing=*/false)))
    return failure();

  embedding = collectProducers(main, layers.getInput(), {});
  head = collectProducers(main, body.getTerminator()->getOperands(), {layers});
  for (Operation *op : head)
    for (Value operand : op->getOperands())
      if (isa<BlockArgument>(operand))
        return op->emitOpError(
            "behind the layers depends on tokens or positions: the client's "
            "rows do not carry them");

  for (auto name : layers.getKinds().getAsValueRange<FlatSymbolRefAttr>()) {
    FailureOr<LayerParts> parts =
        LayerParts::create(module.lookupSymbol<func::FuncOp>(name));
    if (failed(parts))
      return failure();
    if (int64_t count = parts->getNumRecomputed()) {
      numRecomputed += count;
      func::FuncOp layer = parts->getLayer();
      remark::analysis(layer.getLoc(), remark::RemarkOpts::name("recompute")
                                           .category("partition")
                                           .function(layer.getSymName()))
          << remark::metric("Operations", count)
          << remark::reason("both sides of the attention need them, and only "
                            "the layer's rows live across it");
    }
    kinds.push_back(*parts);
  }
  llvm::append_range(order, layers.getOrder());
  first = plan->clientFirst;
  end = static_cast<int64_t>(order.size()) - plan->clientLast;
  if (first >= end)
    return layers.emitOpError("client layers: ")
           << plan->clientFirst << " + " << plan->clientLast
           << " vs less than the " << order.size() << " layers of the model";
  return takesRows ? checkCallersRows() : success();
}

LogicalResult Partitioner::collectClasses() {
  PlacementOp placement = *module.getOps<PlacementOp>().begin();
  AttentionOp first;
  for (LayerParts &parts : kinds) {
    AttentionOp attention = parts.getAttention();
    if (auto grid = attention.getGridAttr();
        grid && grid != placement.getGridAttr()) {
      InFlightDiagnostic diag = attention.emitOpError("runs on ")
                                << grid << " vs " << placement.getGridAttr();
      diag.attachNote(placement.getLoc()) << "the grid whose cells have ranks";
      return diag;
    }
    if (!first)
      first = attention;
    // All layers share the pools of a rank and the rows of its caches.
    if (attention.getQuery().getType() != first.getQuery().getType() ||
        attention.getKey().getType() != first.getKey().getType()) {
      InFlightDiagnostic diag = attention.emitOpError("heads: ")
                                << attention.getQuery().getType() << ", "
                                << attention.getKey().getType() << " vs "
                                << first.getQuery().getType() << ", "
                                << first.getKey().getType();
      diag.attachNote(first.getLoc()) << "in another layer";
      return diag;
    }
    auto query = cast<RankedTensorType>(attention.getQuery().getType());
    auto lse = RankedTensorType::get(
        {ShapedType::kDynamic, query.getDimSize(1)}, builder.getF32Type());
    AttentionClass wanted = {
        attention.getMask(),
        attention.getScaleAttr(),
        attention.getSoftCapAttr(),
        query,
        cast<RankedTensorType>(attention.getKey().getType()),
        RankedTensorType::get(query.getShape(), partialElement),
        lse};
    auto it = llvm::find(classes, wanted);
    classOf.push_back(it - classes.begin());
    if (it == classes.end())
      classes.push_back(wanted);
  }
  return success();
}

/// The programs, and the segments that the runtime's manifest asks for, have
/// names of their own.
LogicalResult Partitioner::checkNames() {
  SmallVector<std::string> taken = {"client",       "comp",        "attn",
                                    "client.embed", "client.head", "enter",
                                    "leave"};
  for (size_t number = 0; number < classes.size(); ++number)
    for (StringRef route : {"query", "key", "partial"})
      taken.push_back((route + Twine(number)).str());
  for (const std::string &name : taken)
    if (Operation *op = module.lookupSymbol(name))
      return op->emitOpError("is called @")
             << name << " vs a name that the partitioned phase does not use";
  return success();
}

Location Partitioner::attentionOf(int32_t kind) {
  return kinds[kind].getAttention().getLoc();
}

Location Partitioner::attentionOfClass(int64_t number) {
  SmallVector<Location> attentions;
  for (int32_t kind = 0, e = kinds.size(); kind < e; ++kind)
    if (classOf[kind] == number)
      attentions.push_back(attentionOf(kind));
  return builder.getFusedLoc(attentions);
}

void Partitioner::declareRoutes() {
  auto declare = [&](const Twine &name, RouteKind kind, IntegerAttr number,
                     MaskAttr mask, ArrayRef<Type> types) {
    Location loc = number ? attentionOfClass(number.getInt()) : layers.getLoc();
    RouteOp::create(builder, loc, builder.getStringAttr(name),
                    RouteKindAttr::get(builder.getContext(), kind), number,
                    mask, builder.getTypeArrayAttr(types));
  };
  declare("enter", RouteKind::Enter, {}, {}, {rows});
  for (auto [number, c] : llvm::enumerate(classes)) {
    IntegerAttr i = builder.getI64IntegerAttr(number);
    declare("query" + Twine(number), RouteKind::Query, i, c.mask, {c.query});
    declare("key" + Twine(number), RouteKind::Key, i, c.mask, {c.key, c.key});
    declare("partial" + Twine(number), RouteKind::Partial, i, c.mask,
            {c.partial, c.lse});
  }
  declare("leave", RouteKind::Leave, {}, {}, {leaving});
}

LogicalResult Partitioner::run() {
  if (failed(analyze()))
    return failure();
  if (failed(collectClasses()) || failed(checkNames()))
    return failure();
  builder.setInsertionPoint(*module.getOps<func::FuncOp>().begin());
  declareRoutes();
  builder.setInsertionPointToEnd(module.getBody());
  emitSegments();
  emitClient();
  emitComp();
  emitAttn();
  SmallVector<int32_t> layerClasses =
      llvm::map_to_vector(order, [&](int32_t kind) { return classOf[kind]; });
  module->setAttr(layerClassesAttrName,
                  builder.getDenseI32ArrayAttr(layerClasses));
  // The model is now in the programs.
  main.erase();
  for (const LayerParts &parts : kinds) {
    func::FuncOp layer = parts.getLayer();
    layer.erase();
  }
  return success();
}

namespace {
struct PartitionPass : rshard::impl::PartitionPassBase<PartitionPass> {
  void runOnOperation() override {
    Partitioner partitioner(getOperation());
    if (failed(partitioner.run()))
      return signalPassFailure();
    numSegments += partitioner.numSegments;
    numRecomputed += partitioner.numRecomputed;
  }
};
} // namespace
