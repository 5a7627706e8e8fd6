//===- RShardPlanOps.cpp - verifiers of the planned phase -----------------===//

#include "RShard/RShard.h"

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

LogicalResult ShardingOp::verify() { return success(); }

LogicalResult GridOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return success(lookUp<ShardingOp>(*this, symbols, getQueriesAttr()) &&
                 lookUp<ShardingOp>(*this, symbols, getKeysAttr()));
}

LogicalResult PlacementOp::verify() {
  if (getFirst() < 0 || getLast() < 0)
    return emitOpError("client layers: ")
           << getFirst() << ", " << getLast() << " vs at least 0, 0";
  int32_t highest = -1;
  SmallVector<bool> used(getRanks().size(), false);
  for (auto [node, rank] : llvm::enumerate(getRanks())) {
    if (rank < 0 || rank >= static_cast<int32_t>(used.size()))
      return emitOpError("rank of node ")
             << node << ": " << rank << " vs 0 to " << used.size() - 1;
    used[rank] = true;
    highest = std::max(highest, rank);
  }
  for (int32_t rank = 0; rank < highest; ++rank)
    if (!used[rank])
      return emitOpError("ranks: no node on rank ")
             << rank << " vs ranks 0 to " << highest << " without a hole";
  return success();
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
  return success();
}
