//===- PlanSymbols.cpp - a plan as symbols of a module --------------------===//

#include "rshard/Plan/PlanSymbols.h"
#include "RowTypes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace rshard;

static constexpr StringLiteral gridName = "grid", placementName = "placement";

static void declareSharding(OpBuilder &builder, Location loc, StringRef name,
                            const tokenset::Partition &partition) {
  SmallVector<Attribute> sets;
  for (const tokenset::TokenSet &set : partition.sets())
    sets.push_back(builder.getStringAttr(set.print()));
  ShardingOp::create(builder, loc, name, builder.getArrayAttr(sets));
}

FailureOr<LayersOp> rshard::findLayers(ModuleOp module) {
  SmallVector<LayersOp> found;
  module.walk([&](LayersOp op) { found.push_back(op); });
  if (found.empty())
    return module.emitError(
        "holds no rshard.layers vs a module of the model or planned phase");
  if (found.size() > 1) {
    InFlightDiagnostic diag = found[1].emitOpError("is the second one vs 1");
    diag.attachNote(found[0].getLoc()) << "the first one";
    return diag;
  }
  auto func = dyn_cast<func::FuncOp>(found[0]->getParentOp());
  if (!func || func->getParentOp() != module || !func.getBody().hasOneBlock())
    return found[0].emitOpError(
        "stands elsewhere vs in the only block of a function of the module");
  return found[0];
}

/// The plan's symbols, and those that the scheduled phase and the targets
/// declare without a dot in their name.
static LogicalResult checkNames(ModuleOp module) {
  for (StringRef name :
       {StringRef("R"), StringRef("S"), StringRef("T"), StringRef(gridName),
        StringRef(placementName), StringRef("step"), StringRef("result"),
        StringRef("workspace")})
    if (Operation *op = module.lookupSymbol(name))
      return op->emitOpError("is called @")
             << name << " vs a name that no later phase declares";
  return success();
}

LogicalResult rshard::attachPlan(ModuleOp module, const tokenset::Plan &plan) {
  FailureOr<LayersOp> found = findLayers(module);
  if (failed(found))
    return failure();
  LayersOp layers = *found;
  if (!module.getOps<PlacementOp>().empty())
    return (*module.getOps<PlacementOp>().begin())
        .emitOpError("is there already vs a module without a plan");
  int64_t depth = layers.getOrder().size();
  if (plan.clientFirst + plan.clientLast >= depth) {
    InFlightDiagnostic diag = layers.emitOpError("client layers: ")
                              << plan.clientFirst << " + " << plan.clientLast
                              << " vs less than the " << depth
                              << " layers of the model";
    diag.attachNote() << "--client-layers L0,L1 must leave at least one layer "
                         "to the CompNodes";
    return diag;
  }
  if (failed(checkNames(module)))
    return failure();

  OpBuilder builder(module.getContext());
  // After the model's own declarations, before the first function.
  auto funcs = module.getOps<func::FuncOp>();
  builder.setInsertionPoint(*funcs.begin());
  Location loc = layers.getLoc();
  declareSharding(builder, loc, "R", plan.R);
  declareSharding(builder, loc, "S", plan.S);
  declareSharding(builder, loc, "T", plan.T);
  GridOp::create(builder, loc, gridName, "S", "T");
  RowTypesAttr types = getRowTypesAttr(builder.getContext(), plan.types);
  PlacementOp::create(
      builder, loc, placementName, "R", gridName, plan.clientFirst,
      plan.clientLast,
      plan.types == tokenset::RowTypes() ? RowTypesAttr() : types, plan.ranks);
  typeRows(module, layers->getParentOfType<func::FuncOp>(),
           types.getActivations());
  auto grid = FlatSymbolRefAttr::get(builder.getContext(), gridName);
  module.walk([&](AttentionOp attention) { attention.setGridAttr(grid); });
  return success();
}

FailureOr<tokenset::Plan> rshard::readPlan(ModuleOp module) {
  auto placements = module.getOps<PlacementOp>();
  if (placements.empty())
    return module.emitError(
        "holds no rshard.placement vs a module of the planned phase");
  PlacementOp placement = *placements.begin();
  if (auto rest = llvm::drop_begin(placements); !rest.empty()) {
    InFlightDiagnostic diag =
        (*rest.begin()).emitOpError("is the second one vs 1");
    diag.attachNote(placement.getLoc()) << "the first one";
    return diag;
  }
  auto grid = module.lookupSymbol<GridOp>(placement.getGrid());

  tokenset::Plan plan;
  auto read = [&](StringRef label, StringRef symbol,
                  tokenset::Partition &into) -> LogicalResult {
    auto sharding = module.lookupSymbol<ShardingOp>(symbol);
    std::vector<tokenset::TokenSet> sets;
    for (auto text : sharding.getSets().getAsValueRange<StringAttr>()) {
      auto set =
          tokenset::TokenSet::parse(std::string_view(text.data(), text.size()));
      if (!set)
        return sharding.emitOpError("set '")
               << text << "': " << set.error().message;
      sets.push_back(std::move(*set));
    }
    auto partition = tokenset::Partition::create(label.str(), std::move(sets));
    if (!partition)
      return sharding.emitOpError() << partition.error().message;
    into = std::move(*partition);
    return success();
  };
  if (failed(read("R", placement.getRows(), plan.R)) ||
      failed(read("S", grid.getQueries(), plan.S)) ||
      failed(read("T", grid.getKeys(), plan.T)))
    return failure();
  plan.clientFirst = placement.getFirst();
  plan.clientLast = placement.getLast();
  plan.types = getRowTypes(placement);
  plan.ranks.assign(placement.getRanks().begin(), placement.getRanks().end());
  if (auto valid = tokenset::validate(plan); !valid)
    return placement.emitOpError() << valid.error().message;
  return plan;
}

FailureOr<ArrayRef<int32_t>>
rshard::readLayerClasses(ModuleOp module, const tokenset::Plan &plan) {
  auto classes = module->getAttrOfType<DenseI32ArrayAttr>(layerClassesAttrName);
  if (!classes)
    return module.emitError("has no attribute '")
           << layerClassesAttrName << "'";
  if (plan.clientFirst + plan.clientLast >= classes.size())
    return module.emitError("client layers: ")
           << plan.clientFirst << " + " << plan.clientLast
           << " vs less than the " << classes.size() << " layers";
  return classes.asArrayRef();
}

tokenset::RowTypes rshard::getRowTypes(PlacementOp placement) {
  return {getElement(placement.getActivationType()),
          getElement(placement.getPartialType())};
}

tokenset::Mask rshard::getMask(MaskAttr mask) {
  switch (mask.getKind()) {
  case MaskKind::Full:
    return tokenset::Mask::full();
  case MaskKind::Causal:
    return tokenset::Mask::causal();
  case MaskKind::Window:
    return tokenset::Mask::windowed(mask.getWindow());
  }
  llvm_unreachable("every mask has a kind");
}
