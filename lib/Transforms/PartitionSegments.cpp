//===- PartitionSegments.cpp - what a node computes between messages ------===//

#include "Partitioner.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace rshard;

std::string Partitioner::segmentName(SegmentKey key) const {
  switch (key.part) {
  case SegmentKey::Embed:
    return "client.embed";
  case SegmentKey::Enter:
    return (nameOf(key.kind) + ".enter").str();
  case SegmentKey::Pair:
    return (nameOf(key.kind) + "." + nameOf(key.next)).str();
  case SegmentKey::Leave:
    return (nameOf(key.kind) + ".leave").str();
  case SegmentKey::Finish:
    return (nameOf(key.kind) + ".finish").str();
  case SegmentKey::Head:
    return "client.head";
  }
  llvm_unreachable("every segment has a name");
}

Location Partitioner::locOf(SegmentKey key) {
  auto layer = [&](int32_t kind) { return kinds[kind].getLayer().getLoc(); };
  switch (key.part) {
  case SegmentKey::Embed:
  case SegmentKey::Head:
    return main.getLoc();
  case SegmentKey::Pair:
    return builder.getFusedLoc({layer(key.kind), layer(key.next)});
  case SegmentKey::Enter:
  case SegmentKey::Leave:
  case SegmentKey::Finish:
    return layer(key.kind);
  }
  llvm_unreachable("every segment has a location");
}

void Partitioner::emitSegment(
    SegmentKey key, TypeRange arguments, TypeRange results,
    function_ref<SmallVector<Value>(OpBuilder &, ValueRange)> emit) {
  func::FuncOp &segment = segments[key];
  if (segment)
    return;
  SmallVector<Type> inputs = {index};
  llvm::append_range(inputs, arguments);
  Location loc = locOf(key);
  segment = func::FuncOp::create(loc, segmentName(key),
                                 builder.getFunctionType(inputs, results));
  segment.setPrivate();
  // Names of layers are the user's: whoever comes second is renamed.
  SymbolTable(module).insert(segment, builder.getInsertionPoint());
  OpBuilder inner = OpBuilder::atBlockEnd(segment.addEntryBlock());
  SmallVector<Value> values = emit(inner, segment.getArguments());
  func::ReturnOp::create(inner, loc, values);
  ++numSegments;
  remark::passed(loc, remark::RemarkOpts::name("segment")
                          .category("partition")
                          .function(segment.getSymName()))
      << remark::metric("Operations",
                        segment.getBody().front().getOperations().size() - 1);
}

void Partitioner::emitSegments() {
  if (!takesRows)
    emitSegment({SegmentKey::Embed}, {ids, ids}, rows,
                [&](OpBuilder &b, ValueRange args) -> SmallVector<Value> {
                  IRMapping mapping;
                  mapping.map(main.getArguments(), args.drop_front());
                  for (Operation *op : embedding)
                    b.clone(*op, mapping);
                  return {mapping.lookupOrDefault(layers.getInput())};
                });

  SmallVector<int32_t> sharded(
      ArrayRef<int32_t>(order).slice(first, end - first));
  emitSegment(
      {SegmentKey::Enter, sharded.front()}, {rows, ids},
      enterResults(sharded.front()), [&](OpBuilder &b, ValueRange args) {
        return kinds[sharded.front()].emitEnter(b, args[0], args[1], args[2]);
      });
  for (auto [kind, next] : llvm::zip(ArrayRef(sharded).drop_back(),
                                     ArrayRef(sharded).drop_front())) {
    SmallVector<Type> arguments = {rows, ids}, results = {rows};
    llvm::append_range(arguments, partialTypes(kind));
    llvm::append_range(results, enterResults(next));
    emitSegment({SegmentKey::Pair, kind, next}, arguments, results,
                [&](OpBuilder &b, ValueRange args) {
                  Value merged = mergePartials(b, kind, args.drop_front(3));
                  Value left = kinds[kind].emitLeave(b, args[0], args[1],
                                                     args[2], merged);
                  Value following = arith::AddIOp::create(
                      b, layers.getLoc(), args[0], constant(b, 1));
                  SmallVector<Value> values = {left};
                  llvm::append_range(values, kinds[next].emitEnter(
                                                 b, following, left, args[2]));
                  return values;
                });
  }
  SmallVector<Type> arguments = {rows, ids};
  llvm::append_range(arguments, partialTypes(sharded.back()));
  emitSegment({SegmentKey::Leave, sharded.back()}, arguments, leaving,
              [&](OpBuilder &b, ValueRange args) -> SmallVector<Value> {
                return {kinds[sharded.back()].emitLeave(
                    b, args[0], args[1], args[2],
                    mergePartials(b, sharded.back(), args.drop_front(3)))};
              });

  // Layers of the client are not cut across nodes: enter, attention, finish.
  for (auto [layer, kind] : llvm::enumerate(order)) {
    if (static_cast<int64_t>(layer) >= first &&
        static_cast<int64_t>(layer) < end)
      continue;
    emitSegment({SegmentKey::Enter, kind}, {rows, ids}, enterResults(kind),
                [&](OpBuilder &b, ValueRange args) {
                  return kinds[kind].emitEnter(b, args[0], args[1], args[2]);
                });
    emitSegment(
        {SegmentKey::Finish, kind}, {rows, ids, classes[classOf[kind]].query},
        rows, [&](OpBuilder &b, ValueRange args) -> SmallVector<Value> {
          return {kinds[kind].emitLeave(b, args[0], args[1], args[2], args[3])};
        });
  }

  if (!head.empty())
    emitSegment({SegmentKey::Head}, leaving, main.getResultTypes(),
                [&](OpBuilder &b, ValueRange args) -> SmallVector<Value> {
                  IRMapping mapping;
                  mapping.map(layers.getResult(), args[1]);
                  for (Operation *op : head)
                    b.clone(*op, mapping);
                  return {mapping.lookupOrDefault(
                      main.getBody().front().getTerminator()->getOperand(0))};
                });
}
