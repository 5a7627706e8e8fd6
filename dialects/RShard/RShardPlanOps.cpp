//===- RShardPlanOps.cpp - verifiers of the planned phase -----------------===//

#include "RShard/RShard.h"
#include "rshard/tokenset/Partition.h"
#include "rshard/tokenset/Placement.h"

using namespace mlir;
using namespace rshard;

/// Looks `name` up and reports it missing under `kind`'s name.
template <typename OpT>
static OpT lookUp(Operation *user, SymbolTableCollection &symbols,
                  FlatSymbolRefAttr name) {
  auto op = symbols.lookupNearestSymbolFrom<OpT>(user, name);
  if (!op)
    user->emitOpError("refers to ")
        << name << ": no " << OpT::getOperationName() << " of this name";
  return op;
}

LogicalResult ShardingOp::verify() {
  if (getSets().empty())
    return emitOpError("sets: 0 vs at least 1");
  std::vector<tokenset::TokenSet> sets;
  for (auto [node, text] :
       llvm::enumerate(getSets().getAsValueRange<StringAttr>())) {
    auto set = tokenset::TokenSet::parse(std::string_view(text));
    if (!set)
      return emitOpError("set ") << node << ": " << set.error().message;
    sets.push_back(std::move(*set));
  }
  auto family =
      tokenset::Partition::create(getSymName().str(), std::move(sets));
  if (!family)
    return emitOpError() << family.error().message;
  return success();
}

LogicalResult GridOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return success(lookUp<ShardingOp>(*this, symbols, getQueriesAttr()) &&
                 lookUp<ShardingOp>(*this, symbols, getKeysAttr()));
}

LogicalResult PlacementOp::verify() {
  int64_t first = getFirstAttr().getInt(), last = getLastAttr().getInt();
  if (first < 0 || last < 0)
    return emitOpError("client layers: ")
           << first << ", " << last << " vs at least 0, 0";
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  if (first > most || last > most - first)
    return emitOpError("client layers: ")
           << first << ", " << last << " vs at most " << most << " together";
  if (auto dense = tokenset::checkRanks(getRanks()); !dense)
    return emitOpError() << dense.error().message;
  return success();
}

Type PlacementOp::getActivationType() {
  return getTypes() ? getTypes()->getActivations()
                    : Float32Type::get(getContext());
}

Type PlacementOp::getPartialType() {
  return getTypes() ? getTypes()->getPartials()
                    : Float32Type::get(getContext());
}

/// What nodes keep and send is of the types that the plan says: predicted bytes
/// (C7) follow from the plan.
static LogicalResult verifyRowTypes(PlacementOp placement) {
  auto check = [&](Operation *user, Type rows, StringRef what,
                   Type required) -> LogicalResult {
    Type element = cast<ShapedType>(rows).getElementType();
    if (element == required)
      return success();
    InFlightDiagnostic diag = placement.emitOpError(what)
                              << ": " << required << " vs " << element;
    diag.attachNote(user->getLoc()) << "rows here";
    return diag;
  };
  Type activations = placement.getActivationType();
  WalkResult walk =
      placement->getParentOp()->walk([&](Operation *op) -> WalkResult {
        if (auto layers = dyn_cast<LayersOp>(op))
          return check(op, layers.getInput().getType(), "activations",
                       activations);
        if (auto attention = dyn_cast<AttentionOp>(op))
          return check(op, attention.getQuery().getType(), "activations",
                       activations);
        auto route = dyn_cast<RouteOp>(op);
        if (!route)
          return WalkResult::advance();
        bool partial = route.getKind() == RouteKind::Partial;
        return check(op, cast<TypeAttr>(route.getTypes()[0]).getValue(),
                     partial ? "partials" : "activations",
                     partial ? placement.getPartialType() : activations);
      });
  return failure(walk.wasInterrupted());
}

LogicalResult PlacementOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto rows = lookUp<ShardingOp>(*this, symbols, getRowsAttr());
  auto grid = lookUp<GridOp>(*this, symbols, getGridAttr());
  if (!rows || !grid)
    return failure();
  auto queries = lookUp<ShardingOp>(grid, symbols, grid.getQueriesAttr());
  auto keys = lookUp<ShardingOp>(grid, symbols, grid.getKeysAttr());
  if (!queries || !keys)
    return failure();
  size_t nodes = 1 + rows.getSets().size() +
                 queries.getSets().size() * keys.getSets().size();
  if (getRanks().size() != nodes) {
    InFlightDiagnostic diag = emitOpError("ranks: ")
                              << getRanks().size() << " vs " << nodes
                              << " nodes";
    diag.attachNote(grid.getLoc())
        << queries.getSets().size() << " x " << keys.getSets().size()
        << " cells, beside the client and " << rows.getSets().size()
        << " CompNodes";
    return diag;
  }
  // The layers of the whole model: later phases hold none.
  int64_t first = getFirstAttr().getInt(), last = getLastAttr().getInt();
  WalkResult walk = (*this)->getParentOp()->walk([&](LayersOp layers) {
    int64_t count = layers.getOrder().size();
    if (first < count - last)
      return WalkResult::advance();
    emitOpError("client layers: ")
            .append(first, " + ", last, " vs less than ", count)
            .attachNote(layers.getLoc())
        << "the model's layers: one must remain for the nodes";
    return WalkResult::interrupt();
  });
  if (walk.wasInterrupted())
    return failure();
  return verifyRowTypes(*this);
}
