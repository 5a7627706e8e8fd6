//===- ScheduleExchanges.cpp - messages between ranks ---------------------===//

#include "NCCL/NCCL.h"
#include "Scheduler.h"
#include "mlir/IR/Remarks.h"
#include "rshard/tokenset/Routes.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace rshard;

/// The pool of an exchange's tensor; its own part is where the sender's segment
/// writes.
Value Scheduler::poolOf(StringRef name, ShapedType type) {
  for (const tokenset::Exchange &exchange : exchanges)
    for (const tokenset::ExchangeTensor &tensor : exchange.tensors)
      if (StringRef(tensor.name) == name)
        return frame->buffer("pool." + name, type,
                             "pool_" + std::string(tensor.rows));
  llvm_unreachable("every pool belongs to an exchange");
}

void Scheduler::emitExchange(DriverBuilder &b, size_t number, Value layer,
                             ArrayRef<ShapedType> types) {
  ++numExchanges;
  const tokenset::Exchange &exchange = exchanges[number];
  std::string together = llvm::join(
      llvm::map_range(exchange.tensors,
                      [](const auto &tensor) { return tensor.name; }),
      " + ");
  remark::passed(b.loc, remark::RemarkOpts::name("exchange")
                            .category("schedule")
                            .function(exchange.name))
      << remark::metric("Group", together);
  ExchangeOp::create(b, b.loc, frame->get(), static_cast<int32_t>(number),
                     layer);
  // Rows `pack` of a pool go to the staging buffer and from there to the peers;
  // received rows follow the own ones in the pool.
  SmallVector<std::pair<Value, Value>> messages;
  for (auto [tensor, type] : llvm::zip_equal(exchange.tensors, types)) {
    Value pool = poolOf(tensor.name, type);
    Value staging = frame->buffer(StringRef(tensor.name) + ".send", type,
                                  "send_" + std::string(tensor.rows));
    GatherOp::create(b, b.loc, pool, frame->table(tensor.pack), staging);
    messages.emplace_back(pool, staging);
  }

  // Sorted by (source, destination, tensor); the fields of a transfer in the
  // order in which tokenset::Transfer has them.
  constexpr int64_t numFields = tokenset::Transfer::kFields;
  Value transfers = frame->table(exchange.transfer);
  Value count = b.div(frame->size(exchange.transfer), b.constant(numFields));
  auto group = nccl::GroupOp::create(b, b.loc);
  DriverBuilder g(group.getBody(), b.loc);
  g.forEach(count, [&](DriverBuilder &inner, Value index) {
    Value base = inner.mul(index, inner.constant(numFields));
    auto field = [&](int64_t i) {
      return inner.load(transfers, inner.add(base, inner.constant(i)));
    };
    Value tensor = field(0), isSend = field(1), peer = field(2),
          begin = field(3), rows = field(4);
    Value which = inner.add(inner.mul(tensor, inner.constant(2)), isSend);
    // 2 t receives tensor t, 2 t + 1 sends it; sending the last one is the
    // default.
    SmallVector<int64_t> cases;
    for (int64_t i = 0, e = 2 * messages.size() - 1; i < e; ++i)
      cases.push_back(i);
    auto select = scf::IndexSwitchOp::create(inner, inner.loc, TypeRange(),
                                             which, cases, cases.size());
    auto emit = [&](Region &region, int64_t number) {
      DriverBuilder r(region, b.loc);
      auto [pool, staging] = messages[number / 2];
      bool sends = number % 2;
      Value part = r.rowsOf(sends ? staging : pool, begin, rows);
      if (sends)
        nccl::SendOp::create(r, r.loc, part, peer, frame->comm(),
                             frame->stream());
      else
        nccl::RecvOp::create(r, r.loc, part, peer, frame->comm(),
                             frame->stream());
      scf::YieldOp::create(r, r.loc);
    };
    for (auto [number, region] : llvm::enumerate(select.getCaseRegions()))
      emit(region, number);
    emit(select.getDefaultRegion(), cases.size());
  });
}

LogicalResult Scheduler::emitSend(SendOp send, DriverBuilder &b) {
  RouteOp route = routeOf(send.getRouteAttr());
  Value layer = scalars.lookupOrDefault(send.getLayer());
  switch (route.getKind()) {
  case RouteKind::Enter:
    emitExchange(b, tokenset::enterExchange(), layer, entering);
    onClient = false;
    if (failed(walk(programs->get(Role::Comp).getBody().front(), b)))
      return failure();
    onClient = true;
    return success();
  case RouteKind::Query:
    // Goes up together with the keys, which follow.
    return success();
  case RouteKind::Key: {
    int64_t number = *route.getLayerClass();
    emitExchange(b, tokenset::upExchange(number), layer,
                 {routes->getQuery(number).getTensor(0), route.getTensor(0),
                  route.getTensor(1)});
    return emitCells(number, layer, b);
  }
  case RouteKind::Leave:
    emitExchange(b, tokenset::leaveExchange(routes->getNumClasses()), layer,
                 leaving);
    return success();
  case RouteKind::Partial:
    break;
  }
  return send.emitOpError("stands in a program that does not send along ")
         << send.getRouteAttr();
}

void Scheduler::emitReceive(ReceiveOp receive, DriverBuilder &b) {
  switch (routeOf(receive.getRouteAttr()).getKind()) {
  case RouteKind::Enter: {
    Value rows = frame->buffer("comp.x", entering, "comp");
    GatherOp::create(b, b.loc, poolOf("enter", entering),
                     frame->table("enter.source"), rows);
    places[receive.getResult(0)] = compRows(rows);
    return;
  }
  case RouteKind::Partial: {
    std::string merge =
        ("merge" + Twine(*routeOf(receive.getRouteAttr()).getLayerClass()))
            .str();
    ResultRange results = receive.getResults();
    Value output = poolOf("partial.o", typeOf(results[0]));
    places[results[0]] =
        keepsOrder ? compRows(output) : Place{Place::Whole, output, {}};
    places[results[1]] = {
        Place::Whole, poolOf("partial.lse", typeOf(results[1])), {}};
    // A table that is named is filled in every step.
    if (!results[2].use_empty())
      places[results[2]] = {Place::Whole, frame->table(merge + ".begin"), {}};
    if (!results[3].use_empty())
      places[results[3]] = {Place::Whole, frame->table(merge + ".source"), {}};
    return;
  }
  case RouteKind::Leave: {
    Value rows = frame->buffer("client.out", leaving, "client");
    GatherOp::create(b, b.loc, poolOf("leave", leaving),
                     frame->table("leave.source"), rows);
    clientRows = {Place::Prefix, rows, frame->size("leave.source")};
    places[receive.getResult(0)] = clientRows;
    return;
  }
  case RouteKind::Query:
  case RouteKind::Key:
    return; // received inside emitCells
  }
}
