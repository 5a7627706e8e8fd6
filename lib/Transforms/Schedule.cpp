//===- Schedule.cpp - one driver per rank with explicit messages ----------===//
//
// The programs of the three roles are walked in the order of the data: the
// client's until it sends, the CompNodes' until they send up, the AttnNodes'
// until they send down, and so on. That is the total order of exchanges
// (docs/phases.md, "Scheduled"); every rank runs the same driver, so no rank
// can wait for another in a circle (C6).
//
//===----------------------------------------------------------------------===//

#include "Frame.h"
#include "NCCL/NCCL.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Plan/RouteSet.h"
#include "rshard/Transforms/Passes.h"

namespace rshard {
#define GEN_PASS_DEF_SCHEDULEPASS
#include "rshard/Transforms/Passes.h.inc"
} // namespace rshard

using namespace mlir;
using namespace rshard;

namespace {

/// Where a tensor of a role's program lives on a rank.
struct Place {
  enum Kind {
    Prefix, ///< the first `count` rows of a buffer
    Whole   ///< a whole buffer or table
  };
  Kind kind = Whole;
  Value storage;
  Value count;

  bool operator==(const Place &) const = default;
};

/// One tensor of an exchange: rows `pack` of `pool` go to `staging` and from
/// there to the peers; received rows follow the own ones in `pool`.
struct Message {
  Value pool, staging, pack;
};

class Scheduler {
public:
  explicit Scheduler(ModuleOp module) : module(module), loc(module.getLoc()) {}
  LogicalResult run();

  int64_t numExchanges = 0, numBuffers = 0, numTables = 0;

private:
  LogicalResult findPrograms();

  // Walking the programs.
  LogicalResult walk(Block &block, OpBuilder &b);
  LogicalResult emitFor(scf::ForOp loop, OpBuilder &b);
  LogicalResult emitSwitch(scf::IndexSwitchOp select, OpBuilder &b);
  /// The rows that `yield` leaves behind lie where those of `carried` do.
  LogicalResult checkYields(Operation *yield, ValueRange carried);
  LogicalResult emitCall(func::CallOp call, OpBuilder &b);
  LogicalResult emitSend(SendOp send, OpBuilder &b);
  void emitReceive(ReceiveOp receive, OpBuilder &b);
  void emitClientAppend(AppendOp append, OpBuilder &b);
  int64_t classOf(MaskAttr mask);
  void emitClientAttention(PartialAttentionOp partial, OpBuilder &b);
  LogicalResult emitCells(int64_t number, Value layer, OpBuilder &b);
  void emitExchange(OpBuilder &b, const Twine &name, int32_t exchange,
                    Value layer, ArrayRef<Message> messages);

  // Small pieces of the driver.
  Value constant(OpBuilder &b, int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  Value load(OpBuilder &b, Value table, Value index) {
    Value entry = memref::LoadOp::create(b, loc, table, index);
    return arith::IndexCastOp::create(b, loc, b.getIndexType(), entry);
  }
  Value add(OpBuilder &b, Value lhs, Value rhs) {
    return arith::AddIOp::create(b, loc, lhs, rhs);
  }
  Value sub(OpBuilder &b, Value lhs, Value rhs) {
    return arith::SubIOp::create(b, loc, lhs, rhs);
  }
  Value rowsOf(OpBuilder &b, Value buffer, Value begin, Value count);
  Value view(OpBuilder &b, const Place &place);
  void forEach(OpBuilder &b, Value count,
               function_ref<void(OpBuilder &, Value)> body);
  /// [begin[index], begin[index + 1]).
  std::pair<Value, Value> slice(OpBuilder &b, Value begin, Value index);

  Place compRows(Value buffer);
  Place placeResult(Value result);
  RouteOp routeOf(FlatSymbolRefAttr name) {
    return module.lookupSymbol<RouteOp>(name);
  }
  static ShapedType typeOf(Value tensor) {
    return cast<ShapedType>(tensor.getType());
  }
  Value poolOf(StringRef name, ShapedType type);

  ModuleOp module;
  Location loc;
  func::FuncOp client, comp, attn;
  std::unique_ptr<Frame> frame;
  IRMapping scalars;
  DenseMap<Value, Place> places;
  std::optional<RouteSet> routes;
  bool onClient = true;
  /// The client's current rows: those it sends, then those that came back.
  Place clientRows;
  ShapedType hidden;
  int64_t numShardedLayers = 0, firstSharded = 0, numClientLayers = 0;
};

} // namespace

//===----------------------------------------------------------------------===//
// Pieces of the driver
//===----------------------------------------------------------------------===//

Value Scheduler::rowsOf(OpBuilder &b, Value buffer, Value begin, Value count) {
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<OpFoldResult> offsets = {begin}, sizes = {count},
                            strides(type.getRank(), b.getIndexAttr(1));
  for (int64_t size : type.getShape().drop_front()) {
    offsets.push_back(b.getIndexAttr(0));
    sizes.push_back(b.getIndexAttr(size));
  }
  return memref::SubViewOp::create(b, loc, buffer, offsets, sizes, strides);
}

std::pair<Value, Value> Scheduler::slice(OpBuilder &b, Value begin,
                                         Value index) {
  Value first = load(b, begin, index);
  Value last = load(b, begin, add(b, index, constant(b, 1)));
  return {first, sub(b, last, first)};
}

Value Scheduler::view(OpBuilder &b, const Place &place) {
  if (place.kind == Place::Whole)
    return place.storage;
  return rowsOf(b, place.storage, constant(b, 0), place.count);
}

/// The rows of all CompNodes of the rank, which come first in their buffers.
Place Scheduler::compRows(Value buffer) {
  return {Place::Prefix, buffer, frame->size("comp.position")};
}

void Scheduler::forEach(OpBuilder &b, Value count,
                        function_ref<void(OpBuilder &, Value)> body) {
  scf::ForOp::create(b, loc, constant(b, 0), count, constant(b, 1),
                     ValueRange(),
                     [&](OpBuilder &inner, Location, Value index, ValueRange) {
                       body(inner, index);
                       scf::YieldOp::create(inner, loc);
                     });
}

/// The pool of a route's tensor; its own part is where the sender's segment
/// writes.
Value Scheduler::poolOf(StringRef name, ShapedType type) {
  StringRef rows = StringSwitch<StringRef>(name)
                       .Case("enter", "pool_enter")
                       .Case("query", "pool_query")
                       .Cases({"key", "value"}, "pool_key")
                       .Cases({"partial.o", "partial.lse"}, "pool_partial")
                       .Case("leave", "pool_leave")
                       .Default("");
  return frame->buffer("pool." + name, type, rows);
}

void Scheduler::emitExchange(OpBuilder &b, const Twine &name, int32_t exchange,
                             Value layer, ArrayRef<Message> messages) {
  ++numExchanges;
  ExchangeOp::create(b, loc, frame->get(), exchange, layer);
  for (const Message &message : messages)
    GatherOp::create(b, loc, message.pool, message.pack, message.staging);

  // Quintuples (tensor, is_send, peer, begin, count), sorted by (source,
  // destination, tensor).
  Value transfers = frame->table(name + ".transfer");
  Value count = arith::DivUIOp::create(b, loc, frame->size(name + ".transfer"),
                                       constant(b, 5));
  auto group = nccl::GroupOp::create(b, loc);
  OpBuilder g = OpBuilder::atBlockEnd(&group.getBody().emplaceBlock());
  forEach(g, count, [&](OpBuilder &inner, Value index) {
    Value base = arith::MulIOp::create(inner, loc, index, constant(inner, 5));
    auto field = [&](int64_t i) {
      return load(inner, transfers, add(inner, base, constant(inner, i)));
    };
    Value tensor = field(0), isSend = field(1), peer = field(2),
          begin = field(3), rows = field(4);
    Value which = add(
        inner, arith::MulIOp::create(inner, loc, tensor, constant(inner, 2)),
        isSend);
    // 2 t receives tensor t, 2 t + 1 sends it; sending the last one is the
    // default.
    SmallVector<int64_t> cases;
    for (int64_t i = 0, e = 2 * messages.size() - 1; i < e; ++i)
      cases.push_back(i);
    auto select = scf::IndexSwitchOp::create(inner, loc, TypeRange(), which,
                                             cases, cases.size());
    auto emit = [&](Region &region, int64_t number) {
      OpBuilder r = OpBuilder::atBlockEnd(&region.emplaceBlock());
      const Message &message = messages[number / 2];
      bool sends = number % 2;
      Value part =
          rowsOf(r, sends ? message.staging : message.pool, begin, rows);
      if (sends)
        nccl::SendOp::create(r, loc, part, peer, frame->comm(),
                             frame->stream());
      else
        nccl::RecvOp::create(r, loc, part, peer, frame->comm(),
                             frame->stream());
      scf::YieldOp::create(r, loc);
    };
    for (auto [number, region] : llvm::enumerate(select.getCaseRegions()))
      emit(region, number);
    emit(select.getDefaultRegion(), cases.size());
  });
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

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
  return compRows(frame->buffer("comp.x", hidden, "comp"));
}

//===----------------------------------------------------------------------===//
// Walking the programs
//===----------------------------------------------------------------------===//

LogicalResult Scheduler::emitCall(func::CallOp call, OpBuilder &b) {
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
        from, [&](const Place &place) { return view(b, place); });
  };
  // Segments are token-wise: the rows of all CompNodes of the rank pass at
  // once, so that weights are read once for all of them.
  LaunchOp::create(b, loc, call.getCallee(),
                   scalars.lookupOrDefault(call.getOperand(0)), frame->get(),
                   views(inputs), views(outputs));
  return success();
}

LogicalResult Scheduler::emitSend(SendOp send, OpBuilder &b) {
  RouteOp route = routeOf(send.getRouteAttr());
  Value layer = scalars.lookupOrDefault(send.getLayer());
  auto message = [&](StringRef pool, ShapedType type, StringRef stagingRows,
                     const Twine &pack) -> Message {
    return {poolOf(pool, type),
            frame->buffer(pool + ".send", type, stagingRows),
            frame->table(pack)};
  };
  switch (route.getKind()) {
  case RouteKind::Enter:
    emitExchange(b, "enter", 0, layer,
                 message("enter", hidden, "send_enter", "enter.pack"));
    onClient = false;
    if (failed(walk(comp.getBody().front(), b)))
      return failure();
    onClient = true;
    return success();
  case RouteKind::Query:
    // Goes up together with the keys, which follow.
    return success();
  case RouteKind::Key: {
    int64_t number = *route.getLayerClass();
    std::string name = ("up" + Twine(number)).str();
    emitExchange(
        b, name, 1 + 2 * number, layer,
        {message("query", routes->getQuery(number).getTensor(0), "send_query",
                 name + ".query_pack"),
         message("key", route.getTensor(0), "send_key", name + ".key_pack"),
         message("value", route.getTensor(1), "send_key", name + ".key_pack")});
    return emitCells(number, layer, b);
  }
  case RouteKind::Leave:
    emitExchange(b, "leave", 1 + 2 * routes->getNumClasses(), layer,
                 message("leave", hidden, "send_leave", "leave.pack"));
    return success();
  case RouteKind::Partial:
    break;
  }
  return send.emitOpError("stands in a program that does not send along ")
         << send.getRouteAttr();
}

void Scheduler::emitReceive(ReceiveOp receive, OpBuilder &b) {
  switch (routeOf(receive.getRouteAttr()).getKind()) {
  case RouteKind::Enter: {
    Value rows = frame->buffer("comp.x", hidden, "comp");
    GatherOp::create(b, loc, poolOf("enter", hidden),
                     frame->table("enter.source"), rows);
    places[receive.getResult(0)] = compRows(rows);
    return;
  }
  case RouteKind::Partial: {
    std::string merge =
        ("merge" + Twine(*routeOf(receive.getRouteAttr()).getLayerClass()))
            .str();
    places[receive.getResult(0)] = {
        Place::Whole, poolOf("partial.o", typeOf(receive.getResult(0))), {}};
    places[receive.getResult(1)] = {
        Place::Whole, poolOf("partial.lse", typeOf(receive.getResult(1))), {}};
    places[receive.getResult(2)] = {
        Place::Whole, frame->table(merge + ".begin"), {}};
    places[receive.getResult(3)] = {
        Place::Whole, frame->table(merge + ".source"), {}};
    return;
  }
  case RouteKind::Leave: {
    Value rows = frame->buffer("client.out", hidden, "client");
    GatherOp::create(b, loc, poolOf("leave", hidden),
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

/// What the AttnNodes of the rank do between an exchange up and the next one
/// down: append to the caches, once per grid column, then run the cells in node
/// order; each continues its grid row's running result (C3).
LogicalResult Scheduler::emitCells(int64_t number, Value layer, OpBuilder &b) {
  PartialAttentionOp partial;
  attn.walk([&](ReceiveOp receive) {
    if (routeOf(receive.getRouteAttr()) != routes->getQuery(number))
      return;
    for (Operation *user : receive.getResult(0).getUsers())
      if (auto op = dyn_cast<PartialAttentionOp>(user))
        partial = op;
  });
  if (!partial)
    return attn.emitOpError("has no partial attention of class ") << number;

  auto table = [&](StringRef prefix, StringRef name) {
    return frame->table(prefix + Twine(number) + "." + name);
  };
  ShapedType query = partial.getQuery().getType(),
             key = partial.getKey().getType(),
             output = partial.getOutput().getType(),
             lse = partial.getLse().getType();
  Value keyCache = frame->buffer("cache.key", key, "cache");
  Value valueCache = frame->buffer("cache.value", key, "cache");
  Value columns = frame->size("cache" + Twine(number) + ".length");
  // A cache holds, per layer and column, as many rows as a column of the
  // position table.
  Value cacheRows = arith::DivUIOp::create(
      b, loc, frame->size("cache" + Twine(number) + ".position"),
      arith::MaxUIOp::create(b, loc, columns, constant(b, 1)));
  Value layerBase = arith::MulIOp::create(
      b, loc, sub(b, layer, constant(b, firstSharded)), columns);
  auto cacheBegin = [&](OpBuilder &inner, Value column) -> Value {
    return arith::MulIOp::create(inner, loc, add(inner, layerBase, column),
                                 cacheRows);
  };

  forEach(b, columns, [&](OpBuilder &inner, Value column) {
    auto [begin, count] = slice(inner, table("append", "begin"), column);
    Value source = rowsOf(inner, table("append", "source"), begin, count);
    Value row = rowsOf(inner, table("append", "row"), begin, count);
    Value first = cacheBegin(inner, column);
    for (auto [pool, cache] :
         {std::pair("key", keyCache), std::pair("value", valueCache)})
      AppendRowsOp::create(inner, loc, poolOf(pool, key), source,
                           rowsOf(inner, cache, first, cacheRows), row);
  });

  forEach(b, frame->size("cell" + Twine(number) + ".row"),
          [&](OpBuilder &inner, Value cell) {
            Value row = load(inner, table("cell", "row"), cell),
                  column = load(inner, table("cell", "column"), cell);
            Value first = arith::CmpIOp::create(
                inner, loc, arith::CmpIPredicate::ne,
                load(inner, table("cell", "first"), cell), constant(inner, 0));
            auto [begin, count] = slice(inner, table("query", "begin"), row);
            Value length = load(inner, table("cache", "length"), column);
            Value keys = cacheBegin(inner, column);
            Value reach = load(inner, table("reach", "begin"), cell);
            AttendOp::create(
                inner, loc, poolOf("query", query),
                rowsOf(inner, table("query", "source"), begin, count),
                rowsOf(inner, keyCache, keys, length),
                rowsOf(inner, valueCache, keys, length),
                rowsOf(inner, table("reach", "first"), reach, count),
                rowsOf(inner, table("reach", "last"), reach, count),
                rowsOf(inner, poolOf("partial.o", output), begin, count),
                rowsOf(inner, poolOf("partial.lse", lse), begin, count), first,
                query.getDimSize(1), partial.getScale());
          });

  std::string name = ("down" + Twine(number)).str();
  Value pack = frame->table(name + ".pack");
  emitExchange(
      b, name, 2 + 2 * number, layer,
      {{poolOf("partial.o", output),
        frame->buffer("partial.o.send", output, "send_partial"), pack},
       {poolOf("partial.lse", lse),
        frame->buffer("partial.lse.send", lse, "send_partial"), pack}});
  return success();
}

/// The client's caches: one per client layer, row = position.
void Scheduler::emitClientAppend(AppendOp append, OpBuilder &b) {
  ShapedType type = append.getKey().getType();
  Value layer = scalars.lookupOrDefault(append.getLayer());
  // The last layers' caches follow those of the first.
  Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult,
                                        layer, constant(b, firstSharded));
  Value index = arith::SelectOp::create(
      b, loc, isFirst, layer, sub(b, layer, constant(b, numShardedLayers)));
  Value length = frame->size("client.cached");
  for (auto [from, into, name] :
       {std::tuple(append.getKey(), append.getKeys(), "client.cache.key"),
        std::tuple(append.getValue(), append.getValues(),
                   "client.cache.value")}) {
    Value cache = frame->buffer(name, type, "client_cache");
    Value capacity =
        arith::DivUIOp::create(b, loc, memref::DimOp::create(b, loc, cache, 0),
                               constant(b, numClientLayers));
    Value begin = arith::MulIOp::create(b, loc, index, capacity);
    AppendRowsOp::create(
        b, loc, places[from].storage, frame->table("client.identity"),
        rowsOf(b, cache, begin, capacity), frame->table("client.position"));
    places[into] = {Place::Whole, rowsOf(b, cache, begin, length), {}};
  }
}

/// The first class of routes whose attention has this mask.
int64_t Scheduler::classOf(MaskAttr mask) {
  for (int64_t number = 0; number < routes->getNumClasses(); ++number)
    if (routes->getQuery(number).getMask() == mask)
      return number;
  llvm_unreachable("every layer's mask has a class");
}

void Scheduler::emitClientAttention(PartialAttentionOp partial, OpBuilder &b) {
  int64_t heads =
      cast<RankedTensorType>(partial.getQuery().getType()).getDimSize(1);
  Value count = frame->size("client.position");
  Place output = {
      Place::Prefix,
      frame->buffer("client.output", partial.getOutput().getType(), "client"),
      count};
  Place lse = {
      Place::Prefix,
      frame->buffer("client.lse", partial.getLse().getType(), "client"), count};
  places[partial.getOutput()] = output;
  Value yes = arith::ConstantOp::create(b, loc, b.getBoolAttr(true));
  std::string reach =
      "client.reach" + std::to_string(classOf(partial.getMask()));
  AttendOp::create(
      b, loc, places[partial.getQuery()].storage,
      frame->table("client.identity"), places[partial.getKey()].storage,
      places[partial.getValue()].storage, frame->table(reach + ".first"),
      frame->table(reach + ".last"), view(b, output), view(b, lse), yes, heads,
      partial.getScale());
}

LogicalResult Scheduler::checkYields(Operation *yield, ValueRange carried) {
  for (auto [index, value] : llvm::enumerate(carried))
    if (places.lookup(yield->getOperand(index)) != places.lookup(value))
      return yield->emitOpError("leaves value ")
             << index << " at another place than the one it is carried at";
  return success();
}

LogicalResult Scheduler::emitFor(scf::ForOp loop, OpBuilder &b) {
  auto bound = [&](Value value) { return scalars.lookupOrDefault(value); };
  auto copy =
      scf::ForOp::create(b, loc, bound(loop.getLowerBound()),
                         bound(loop.getUpperBound()), bound(loop.getStep()));
  scalars.map(loop.getInductionVar(), copy.getInductionVar());
  // Carried rows are updated in place.
  for (auto [init, argument, result] : llvm::zip(
           loop.getInitArgs(), loop.getRegionIterArgs(), loop.getResults())) {
    Place carried = places.lookup(init);
    places[argument] = carried;
    places[result] = carried;
  }
  OpBuilder inner(copy.getBody()->getTerminator());
  if (failed(walk(*loop.getBody(), inner)))
    return failure();
  return checkYields(loop.getBody()->getTerminator(), loop.getRegionIterArgs());
}

LogicalResult Scheduler::emitSwitch(scf::IndexSwitchOp select, OpBuilder &b) {
  auto copy = scf::IndexSwitchOp::create(
      b, loc, TypeRange(), scalars.lookupOrDefault(select.getArg()),
      select.getCases(), select.getNumCases());
  bool isFirst = true;
  auto emit = [&](Region &from, Region &to) -> LogicalResult {
    OpBuilder inner = OpBuilder::atBlockEnd(&to.emplaceBlock());
    LogicalResult result = walk(from.front(), inner);
    scf::YieldOp::create(inner, loc);
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

LogicalResult Scheduler::walk(Block &block, OpBuilder &b) {
  for (Operation &op : block) {
    if (isa<arith::ConstantOp, arith::AddIOp, LayerKindOp>(op)) {
      b.clone(op, scalars);
    } else if (isa<TokensOp>(op)) {
      places[op.getResult(0)] = {
          Place::Whole, frame->table("client.token"), {}};
    } else if (isa<PositionsOp>(op)) {
      places[op.getResult(0)] = {
          Place::Whole,
          frame->table(onClient ? "client.position" : "comp.position"),
          {}};
    } else if (auto wanted = dyn_cast<WantedOp>(op)) {
      bool isResult =
          llvm::any_of(wanted->getUsers(), llvm::IsaPred<func::ReturnOp>);
      Value rows = frame->buffer(isResult ? "result" : "client.wanted", hidden,
                                 "wanted");
      GatherOp::create(b, loc, places[wanted.getRows()].storage,
                       frame->table("wanted.row"), rows);
      places[wanted.getResult()] = {Place::Prefix, rows,
                                    frame->size("wanted.row")};
    } else if (auto append = dyn_cast<AppendOp>(op)) {
      emitClientAppend(append, b);
    } else if (auto partial = dyn_cast<PartialAttentionOp>(op)) {
      emitClientAttention(partial, b);
    } else if (auto receive = dyn_cast<ReceiveOp>(op)) {
      emitReceive(receive, b);
    } else if (auto send = dyn_cast<SendOp>(op)) {
      if (failed(emitSend(send, b)))
        return failure();
    } else if (auto call = dyn_cast<func::CallOp>(op)) {
      if (failed(emitCall(call, b)))
        return failure();
    } else if (auto loop = dyn_cast<scf::ForOp>(op)) {
      if (failed(emitFor(loop, b)))
        return failure();
    } else if (auto select = dyn_cast<scf::IndexSwitchOp>(op)) {
      if (failed(emitSwitch(select, b)))
        return failure();
    } else if (!isa<scf::YieldOp, func::ReturnOp>(op)) {
      return op.emitOpError("has no place in a schedule");
    }
  }
  return success();
}

LogicalResult Scheduler::findPrograms() {
  for (auto func : module.getOps<func::FuncOp>()) {
    auto role = func->getAttrOfType<RoleAttr>(roleAttrName);
    if (!role)
      continue;
    func::FuncOp &program = role.getValue() == Role::Client ? client
                            : role.getValue() == Role::Comp ? comp
                                                            : attn;
    if (program) {
      InFlightDiagnostic diag =
          func.emitOpError("is the second program of role ")
          << stringifyRole(role.getValue()) << " vs 1";
      diag.attachNote(program.getLoc()) << "the first one";
      return diag;
    }
    program = func;
  }
  for (auto [role, program] :
       {std::pair(Role::Client, client), std::pair(Role::Comp, comp),
        std::pair(Role::Attn, attn)})
    if (!program || !program.getBody().hasOneBlock())
      return module.emitError("holds no program of role ")
             << stringifyRole(role) << " vs a module of the partitioned phase";
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
  if (failed(findPrograms()))
    return failure();
  FailureOr<RouteSet> found = RouteSet::create(module);
  if (failed(found))
    return failure();
  routes = *found;
  hidden = routes->getEnter().getTensor(0);
  firstSharded = plan->clientFirst;
  numClientLayers = plan->clientFirst + plan->clientLast;
  comp.walk([&](ReceiveOp receive) {
    if (auto constant =
            receive.getLayer().getDefiningOp<arith::ConstantIndexOp>())
      numShardedLayers =
          constant.value() + 1 - firstSharded; // the epilogue comes last
  });

  OpBuilder builder(module.getContext());
  builder.setInsertionPointToEnd(module.getBody());
  auto driver = func::FuncOp::create(
      builder, loc, "step",
      builder.getFunctionType(FrameType::get(module.getContext()), {}));
  Block *body = driver.addEntryBlock();
  OpBuilder declarations(module.getContext());
  declarations.setInsertionPoint(*module.getOps<func::FuncOp>().begin());
  frame = std::make_unique<Frame>(declarations, driver);
  OpBuilder b = OpBuilder::atBlockEnd(body);
  clientRows = {Place::Prefix, poolOf("enter", hidden),
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
  func::ReturnOp::create(b, loc);

  numBuffers = frame->getNumBuffers();
  numTables = frame->getNumTables();
  for (func::FuncOp program : {client, comp, attn})
    program.erase();
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
