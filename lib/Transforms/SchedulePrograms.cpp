//===- SchedulePrograms.cpp - the programs of the roles, op by op ---------===//

#include "Scheduler.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "rshard/Plan/ModelInput.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rshard;

/// The rows of all CompNodes of the rank, which come first in their buffers.
Place Scheduler::compRows(Value buffer) {
  return {Place::Prefix, buffer, frame->size("comp.position")};
}

/// Decides where the result of a segment goes by who uses it.
Place Scheduler::placeResult(Value result) {
  ShapedType type = typeOf(result);
  for (OpOperand &use : result.getUses()) {
    Operation *user = use.getOwner();
    if (isa<func::ReturnOp>(user))
      return {Place::Prefix, frame->buffer("result", type, "wanted"),
              frame->size("wanted.row")};
    if (auto append = dyn_cast<AppendOp>(user); append && onClient)
      return {Place::Prefix,
              frame->buffer(use.getOperandNumber() == 0 ? "client.key"
                                                        : "client.value",
                            type, "client"),
              frame->size("client.position")};
    if (auto partial = dyn_cast<PartialAttentionOp>(user); partial && onClient)
      return {Place::Prefix, frame->buffer("client.query", type, "client"),
              frame->size("client.position")};
    auto send = dyn_cast<SendOp>(user);
    if (!send || onClient)
      continue;
    switch (routeOf(send.getRouteAttr()).getKind()) {
    case RouteKind::Query:
      return compRows(poolOf("query", type));
    case RouteKind::Key:
      return compRows(
          poolOf(use.getOperandNumber() == 0 ? "key" : "value", type));
    case RouteKind::Leave:
      return compRows(poolOf("leave", type));
    default:
      break;
    }
  }
  // Rows that stay with their node from layer to layer.
  if (onClient)
    return clientRows;
  return compRows(frame->buffer("comp.x", entering, "comp"));
}

LogicalResult Scheduler::emitCall(func::CallOp call, DriverBuilder &b) {
  SmallVector<Place> inputs, outputs;
  for (Value operand : call.getOperands().drop_front()) {
    auto it = places.find(operand);
    if (it == places.end())
      return call.emitOpError(
          "takes a value that no exchange or segment has placed");
    inputs.push_back(it->second);
  }
  for (Value result : call.getResults())
    outputs.push_back(places[result] = placeResult(result));
  auto views = [&](ArrayRef<Place> from) {
    return llvm::map_to_vector(
        from, [&](const Place &place) { return place.view(b); });
  };
  // Segments are token-wise: the rows of all CompNodes of the rank pass at
  // once, so that weights are read once for all of them.
  LaunchOp::create(b, b.loc, call.getCallee(),
                   scalars.lookupOrDefault(call.getOperand(0)), frame->get(),
                   views(inputs), views(outputs));
  return success();
}

LogicalResult Scheduler::checkYields(Operation *yield, ValueRange carried) {
  for (auto [index, value] : llvm::enumerate(carried))
    if (places.lookup(yield->getOperand(index)) != places.lookup(value))
      return yield->emitOpError("leaves value ")
             << index << " at another place than the one it is carried at";
  return success();
}

LogicalResult Scheduler::emitFor(scf::ForOp loop, DriverBuilder &b) {
  auto bound = [&](Value value) { return scalars.lookupOrDefault(value); };
  auto copy =
      scf::ForOp::create(b, b.loc, bound(loop.getLowerBound()),
                         bound(loop.getUpperBound()), bound(loop.getStep()));
  scalars.map(loop.getInductionVar(), copy.getInductionVar());
  // Carried rows are updated in place.
  for (auto [init, argument, result] : llvm::zip(
           loop.getInitArgs(), loop.getRegionIterArgs(), loop.getResults())) {
    Place carried = places.lookup(init);
    places[argument] = carried;
    places[result] = carried;
  }
  DriverBuilder inner(OpBuilder(copy.getBody()->getTerminator()), b.loc);
  if (failed(walk(*loop.getBody(), inner)))
    return failure();
  return checkYields(loop.getBody()->getTerminator(), loop.getRegionIterArgs());
}

LogicalResult Scheduler::emitSwitch(scf::IndexSwitchOp select,
                                    DriverBuilder &b) {
  auto copy = scf::IndexSwitchOp::create(
      b, b.loc, TypeRange(), scalars.lookupOrDefault(select.getArg()),
      select.getCases(), select.getNumCases());
  bool isFirst = true;
  auto emit = [&](Region &from, Region &to) -> LogicalResult {
    DriverBuilder inner(to, b.loc);
    LogicalResult result = walk(from.front(), inner);
    scf::YieldOp::create(inner, inner.loc);
    if (failed(result))
      return failure();
    // Every case leaves its rows at the same place.
    Operation *yield = from.front().getTerminator();
    if (!isFirst)
      return checkYields(yield, select.getResults());
    isFirst = false;
    for (auto [value, yielded] :
         llvm::zip(select.getResults(), yield->getOperands())) {
      Place left = places.lookup(yielded);
      places[value] = left;
    }
    return result;
  };
  for (auto [from, to] :
       llvm::zip(select.getCaseRegions(), copy.getCaseRegions()))
    if (failed(emit(from, to)))
      return failure();
  return emit(select.getDefaultRegion(), copy.getDefaultRegion());
}

void Scheduler::emitWanted(WantedOp wanted, DriverBuilder &b) {
  bool isResult =
      llvm::any_of(wanted->getUsers(), llvm::IsaPred<func::ReturnOp>);
  Value rows =
      frame->buffer(isResult ? "result" : "client.wanted", leaving, "wanted");
  GatherOp::create(b, b.loc, places[wanted.getRows()].storage,
                   frame->table("wanted.row"), rows);
  places[wanted.getResult()] = {Place::Prefix, rows, frame->size("wanted.row")};
}

LogicalResult Scheduler::walk(Block &block, DriverBuilder &b) {
  for (Operation &op : block) {
    DriverBuilder at(b, op.getLoc());
    if (failed(schedule(op, at)))
      return failure();
  }
  return success();
}

LogicalResult Scheduler::schedule(Operation &op, DriverBuilder &b) {
  auto whole = [&](const Twine &table) {
    places[op.getResult(0)] = {Place::Whole, frame->table(table), {}};
    return success();
  };
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<arith::ConstantOp, arith::AddIOp, LayerKindOp>([&](auto) {
        b.clone(op, scalars);
        return success();
      })
      .Case([&](TokensOp) { return whole(tokenTableName); })
      .Case([&](RowsOp rows) {
        // The caller writes them where the client sends from.
        places[rows] = clientRows;
        return success();
      })
      .Case([&](PositionsOp) {
        return whole(onClient ? "client.position" : "comp.position");
      })
      .Case([&](WantedOp wanted) { return emitWanted(wanted, b), success(); })
      .Case([&](AppendOp append) {
        return emitClientAppend(append, b), success();
      })
      .Case([&](PartialAttentionOp partial) {
        return emitClientAttention(partial, b);
      })
      .Case(
          [&](ReceiveOp receive) { return emitReceive(receive, b), success(); })
      .Case([&](SendOp send) { return emitSend(send, b); })
      .Case([&](func::CallOp call) { return emitCall(call, b); })
      .Case([&](scf::ForOp loop) { return emitFor(loop, b); })
      .Case([&](scf::IndexSwitchOp select) { return emitSwitch(select, b); })
      .Case<scf::YieldOp, func::ReturnOp>([](auto) { return success(); })
      .Default([](Operation *op) {
        return op->emitOpError("has no place in a schedule");
      });
}
