//===- ScheduleAttention.cpp - caches and partial attention ---------------===//

#include "Scheduler.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace rshard;

/// What the AttnNodes of the rank do between an exchange up and the next one
/// down: append to the caches, once per grid column, then run the cells in node
/// order; each continues its grid row's running result (C3).
LogicalResult Scheduler::emitCells(int64_t number, Value layer,
                                   DriverBuilder &b) {
  PartialAttentionOp partial = partials[number];
  if (!partial)
    return programs->get(Role::Attn)
               .emitOpError("has no partial attention of class ")
           << number;

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
  Value cacheRows =
      b.div(frame->size("cache" + Twine(number) + ".position"),
            arith::MaxUIOp::create(b, b.loc, columns, b.constant(1)));
  Value layerBase = b.mul(b.sub(layer, b.constant(firstSharded)), columns);
  auto cacheBegin = [&](DriverBuilder &inner, Value column) -> Value {
    return inner.mul(inner.add(layerBase, column), cacheRows);
  };

  // Both come from the attention of the layer, not from the send before it.
  DriverBuilder cells(b, partial.getLoc());
  cells.forEach(columns, [&](DriverBuilder &inner, Value column) {
    auto [begin, count] = inner.slice(table("append", "begin"), column);
    Value source = inner.rowsOf(table("append", "source"), begin, count);
    Value row = inner.rowsOf(table("append", "row"), begin, count);
    Value first = cacheBegin(inner, column);
    for (auto [pool, cache] :
         {std::pair("key", keyCache), std::pair("value", valueCache)})
      AppendRowsOp::create(inner, inner.loc, poolOf(pool, key), source,
                           inner.rowsOf(cache, first, cacheRows), row);
  });

  cells.forEach(
      frame->size("cell" + Twine(number) + ".row"),
      [&](DriverBuilder &inner, Value cell) {
        Value row = inner.load(table("cell", "row"), cell),
              column = inner.load(table("cell", "column"), cell);
        Value first = arith::CmpIOp::create(
            inner, inner.loc, arith::CmpIPredicate::ne,
            inner.load(table("cell", "first"), cell), inner.constant(0));
        auto [begin, count] = inner.slice(table("query", "begin"), row);
        Value length = inner.load(table("cache", "length"), column);
        Value keys = cacheBegin(inner, column);
        Value reach = inner.load(table("reach", "begin"), cell);
        AttendOp::create(
            inner, inner.loc, poolOf("query", query),
            inner.rowsOf(table("query", "source"), begin, count),
            inner.rowsOf(keyCache, keys, length),
            inner.rowsOf(valueCache, keys, length),
            inner.rowsOf(table("reach", "first"), reach, count),
            inner.rowsOf(table("reach", "last"), reach, count),
            inner.rowsOf(poolOf("partial.o", output), begin, count),
            inner.rowsOf(poolOf("partial.lse", lse), begin, count), first,
            query.getDimSize(1), partial.getScale(), partial.getSoftCapAttr(),
            keepsOrder);
      });

  emitExchange(b, tokenset::downExchange(number), layer, {output, lse});
  return success();
}

/// The client's caches: one per client layer, row = position.
void Scheduler::emitClientAppend(AppendOp append, DriverBuilder &b) {
  ShapedType type = append.getKey().getType();
  Value layer = scalars.lookupOrDefault(append.getLayer());
  // The last layers' caches follow those of the first.
  Value isFirst = arith::CmpIOp::create(b, b.loc, arith::CmpIPredicate::ult,
                                        layer, b.constant(firstSharded));
  Value index = arith::SelectOp::create(
      b, b.loc, isFirst, layer, b.sub(layer, b.constant(numShardedLayers)));
  Value length = frame->size("client.cached");
  for (auto [from, into, name] :
       {std::tuple(append.getKey(), append.getKeys(), "client.cache.key"),
        std::tuple(append.getValue(), append.getValues(),
                   "client.cache.value")}) {
    Value cache = frame->buffer(name, type, "client_cache");
    Value capacity = b.div(memref::DimOp::create(b, b.loc, cache, 0),
                           b.constant(numClientLayers));
    Value begin = b.mul(index, capacity);
    AppendRowsOp::create(
        b, b.loc, places[from].storage, frame->table("client.identity"),
        b.rowsOf(cache, begin, capacity), frame->table("client.position"));
    places[into] = {Place::Whole, b.rowsOf(cache, begin, length), {}};
  }
}

/// The first class of routes whose attention has the mask of `partial`.
FailureOr<int64_t> Scheduler::classOf(PartialAttentionOp partial) {
  for (int64_t number = 0; number < routes->getNumClasses(); ++number)
    if (routes->getQuery(number).getMask() == partial.getMask())
      return number;
  return partial.emitOpError("C2: has mask ")
         << partial.getMask() << " vs that of a class of routes";
}

LogicalResult Scheduler::emitClientAttention(PartialAttentionOp partial,
                                             DriverBuilder &b) {
  FailureOr<int64_t> number = classOf(partial);
  if (failed(number))
    return failure();
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
  Value yes = arith::ConstantOp::create(b, b.loc, b.getBoolAttr(true));
  std::string reach = "client.reach" + std::to_string(*number);
  AttendOp::create(
      b, b.loc, places[partial.getQuery()].storage,
      frame->table("client.identity"), places[partial.getKey()].storage,
      places[partial.getValue()].storage, frame->table(reach + ".first"),
      frame->table(reach + ".last"), output.view(b), lse.view(b), yes, heads,
      partial.getScale(), partial.getSoftCapAttr(), /*inOrder=*/true);
  return success();
}
