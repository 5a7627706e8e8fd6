//===- LayerParts.cpp - a layer cut at its token-mixing op ----------------===//

#include "LayerParts.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace rshard;

LogicalResult rshard::checkTokenRules(func::FuncOp func, bool allowMixing) {
  for (Operation &op : func.getBody().front().without_terminator()) {
    if (isa<LayersOp>(op) || op.hasTrait<OpTrait::ConstantLike>())
      continue;
    auto rule = dyn_cast<TokenOpInterface>(op);
    if (!rule)
      return op.emitOpError("has no rule for its tokens: it cannot be sharded");
    if (rule.getTokenKind() == TokenKind::Mix && !allowMixing)
      return op.emitOpError(
          "mixes tokens outside of a layer: it cannot be sharded");
  }
  return success();
}

SmallVector<Operation *> rshard::collectProducers(func::FuncOp func,
                                                  ValueRange values,
                                                  ArrayRef<Operation *> stops) {
  SmallPtrSet<Operation *, 32> needed;
  SmallVector<Value> work(values);
  while (!work.empty()) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (!op || llvm::is_contained(stops, op) || !needed.insert(op).second)
      continue;
    llvm::append_range(work, op->getOperands());
  }
  SmallVector<Operation *> ordered;
  for (Operation &op : func.getBody().front())
    if (needed.contains(&op))
      ordered.push_back(&op);
  return ordered;
}

FailureOr<LayerParts> LayerParts::create(func::FuncOp layer) {
  if (failed(checkTokenRules(layer, /*allowMixing=*/true)))
    return failure();
  // The verifier of rshard.layers has counted one token-mixing op; attention is
  // the only one that there is.
  auto attentions = layer.getBody().front().getOps<AttentionOp>();
  assert(llvm::hasSingleElement(attentions) && "checked by rshard.layers");
  AttentionOp attention = *attentions.begin();
  LayerParts parts(layer, attention);
  parts.enter = collectProducers(layer, attention->getOperands(), {});
  parts.leave = collectProducers(
      layer, layer.getBody().front().getTerminator()->getOperands(),
      {attention});
  return parts;
}

int64_t LayerParts::getNumRecomputed() const {
  return llvm::count_if(leave, [&](Operation *op) {
    auto rule = dyn_cast<TokenOpInterface>(op);
    return rule && rule.getTokenKind() == TokenKind::Wise &&
           llvm::is_contained(enter, op);
  });
}

static IRMapping mapArguments(func::FuncOp layer, Value layerIndex, Value rows,
                              Value positions) {
  IRMapping mapping;
  mapping.map(layer.getArgument(0), layerIndex);
  mapping.map(layer.getArgument(1), rows);
  mapping.map(layer.getArgument(2), positions);
  return mapping;
}

SmallVector<Value> LayerParts::emitEnter(OpBuilder &builder, Value layerIndex,
                                         Value rows, Value positions) const {
  IRMapping mapping = mapArguments(layer, layerIndex, rows, positions);
  for (Operation *op : enter)
    builder.clone(*op, mapping);
  AttentionOp op = attention;
  return {mapping.lookupOrDefault(op.getQuery()),
          mapping.lookupOrDefault(op.getKey()),
          mapping.lookupOrDefault(op.getValue())};
}

Value LayerParts::emitLeave(OpBuilder &builder, Value layerIndex, Value rows,
                            Value positions, Value attended) const {
  IRMapping mapping = mapArguments(layer, layerIndex, rows, positions);
  AttentionOp op = attention;
  mapping.map(op.getResult(), attended);
  for (Operation *copied : leave)
    builder.clone(*copied, mapping);
  func::FuncOp func = layer;
  return mapping.lookupOrDefault(
      func.getBody().front().getTerminator()->getOperand(0));
}
