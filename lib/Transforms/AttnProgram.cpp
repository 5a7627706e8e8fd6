//===- AttnProgram.cpp - what the AttnNodes' program computes -------------===//

#include "AttnProgram.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rshard;

namespace {

/// The layer that is being read, as far as it goes.
struct AttnLayer {
  ReceiveOp query, key;
  AppendOp cached;
  PartialAttentionOp partial;
};

class AttnReader {
public:
  explicit AttnReader(const RouteSet &routes)
      : routes(routes), partials(routes.getNumClasses()) {}

  LogicalResult read(Block &block);
  SmallVector<PartialAttentionOp> takePartials() { return std::move(partials); }

private:
  bool accept(ReceiveOp op);
  bool accept(AppendOp op);
  bool accept(PartialAttentionOp op);
  bool accept(SendOp op);
  bool accept(Operation *op);
  /// What comes next in a layer.
  StringRef getExpected() const;

  const RouteSet &routes;
  SmallVector<PartialAttentionOp> partials;
  int64_t number = 0; ///< class of the layer
  AttnLayer layer;
};

} // namespace

static RouteOp routeOf(Operation *op, FlatSymbolRefAttr name) {
  return SymbolTable::lookupNearestSymbolFrom<RouteOp>(op, name);
}

bool AttnReader::accept(ReceiveOp op) {
  RouteOp route = routeOf(op, op.getRouteAttr());
  if (!layer.query) {
    if (route.getKind() != RouteKind::Query)
      return false;
    number = *route.getLayerClass();
    layer.query = op;
    return true;
  }
  if (layer.key || route != routes.getKey(number) ||
      op.getLayer() != layer.query.getLayer())
    return false;
  layer.key = op;
  return true;
}

bool AttnReader::accept(AppendOp op) {
  if (!layer.key || layer.cached || op.getKey() != layer.key.getResult(0) ||
      op.getValue() != layer.key.getResult(1) ||
      op.getPositions() != layer.key.getResult(2) ||
      op.getLayer() != layer.key.getLayer())
    return false;
  layer.cached = op;
  return true;
}

bool AttnReader::accept(PartialAttentionOp op) {
  if (!layer.cached || layer.partial ||
      op.getQuery() != layer.query.getResult(0) ||
      op.getQueryPositions() != layer.query.getResult(1) ||
      op.getKey() != layer.cached.getKeys() ||
      op.getValue() != layer.cached.getValues() ||
      op.getKeyPositions() != layer.cached.getKeyPositions() ||
      op.getMask() != *routes.getQuery(number).getMask())
    return false;
  layer.partial = op;
  return true;
}

bool AttnReader::accept(SendOp op) {
  if (!layer.partial ||
      routeOf(op, op.getRouteAttr()) != routes.getPartial(number) ||
      op.getRows() != layer.partial.getResults() ||
      op.getLayer() != layer.query.getLayer())
    return false;
  // One class, one text: the driver has one scale and one cap for it.
  PartialAttentionOp &known = partials[number];
  if (known && (known.getScaleAttr() != layer.partial.getScaleAttr() ||
                known.getSoftCapAttr() != layer.partial.getSoftCapAttr()))
    return false;
  known = layer.partial;
  layer = {};
  return true;
}

bool AttnReader::accept(Operation *op) {
  // Numbers of layers, which the order of exchanges fixes.
  if (isa<arith::ConstantOp, arith::AddIOp, LayerKindOp>(op))
    return true;
  if (isa<scf::YieldOp, func::ReturnOp>(op))
    return !layer.query && op->getNumOperands() == 0;
  if (auto receive = dyn_cast<ReceiveOp>(op))
    return accept(receive);
  if (auto append = dyn_cast<AppendOp>(op))
    return accept(append);
  if (auto partial = dyn_cast<PartialAttentionOp>(op))
    return accept(partial);
  auto send = dyn_cast<SendOp>(op);
  return send && accept(send);
}

StringRef AttnReader::getExpected() const {
  return !layer.query     ? "the receive of a layer's queries"
         : !layer.key     ? "the receive of the layer's keys and values"
         : !layer.cached  ? "the append of the received keys and values"
         : !layer.partial ? "the partial attention of the received queries"
                          : "the send of the partial attention";
}

LogicalResult AttnReader::read(Block &block) {
  for (Operation &op : block) {
    if (isa<scf::ForOp, scf::IndexSwitchOp>(op) && !layer.query) {
      for (Region &region : op.getRegions())
        if (failed(read(region.front())))
          return failure();
    } else if (!accept(&op)) {
      return op.emitOpError("has no place in a schedule vs ")
             << getExpected() << ", which comes next on an AttnNode";
    }
  }
  return success();
}

FailureOr<SmallVector<PartialAttentionOp>>
rshard::readAttnProgram(func::FuncOp attn, const RouteSet &routes) {
  AttnReader reader(routes);
  if (failed(reader.read(attn.getBody().front())))
    return failure();
  return reader.takePartials();
}
