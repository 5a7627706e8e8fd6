//===- PartitionPrograms.cpp - the program of each role -------------------===//

#include "LayerLoop.h"
#include "Partitioner.h"

using namespace mlir;
using namespace rshard;

func::FuncOp Partitioner::emitRole(StringRef name, Role role,
                                   TypeRange results) {
  auto program = func::FuncOp::create(builder, main.getLoc(), name,
                                      builder.getFunctionType(index, results));
  program->setAttr(roleAttrName, RoleAttr::get(builder.getContext(), role));
  program.addEntryBlock();
  return program;
}

SmallVector<Value> Partitioner::callSegment(OpBuilder &b, SegmentKey key,
                                            ValueRange operands) {
  return SmallVector<Value>(
      func::CallOp::create(b, locOf(key), segments[key], operands)
          .getResults());
}

SmallVector<Value> Partitioner::receivePartials(OpBuilder &b, int32_t kind,
                                                Value layer) {
  return SmallVector<Value>(ReceiveOp::create(b, attentionOf(kind),
                                              partialTypes(kind),
                                              routeName("partial", kind), layer)
                                .getResults());
}

void Partitioner::sendUp(OpBuilder &b, int32_t kind, ValueRange values,
                         Value layer) {
  SendOp::create(b, attentionOf(kind), routeName("query", kind),
                 values.take_front(1), layer);
  SendOp::create(b, attentionOf(kind), routeName("key", kind),
                 values.drop_front(1), layer);
}

Value Partitioner::emitClientLayers(OpBuilder &b, int64_t from, int64_t to,
                                    Value x, Value positions) {
  return emitLayerLoop(
      b, layers.getLoc(), from, to, order, x,
      [&](OpBuilder &inner, int32_t kind, Value layer,
          ValueRange carried) -> SmallVector<Value> {
        const AttentionClass &c = classes[classOf[kind]];
        Location loc = attentionOf(kind);
        SmallVector<Value> qkv = callSegment(inner, {SegmentKey::Enter, kind},
                                             {layer, carried[0], positions});
        auto cached = AppendOp::create(inner, loc, c.key, c.key, ids, qkv[1],
                                       qkv[2], positions, layer);
        auto partial = PartialAttentionOp::create(
            inner, loc, c.query, c.lse, qkv[0], positions, cached.getKeys(),
            cached.getValues(), cached.getKeyPositions(), c.mask, c.scale,
            c.softCap);
        return callSegment(inner, {SegmentKey::Finish, kind},
                           {layer, carried[0], positions, partial.getOutput()});
      })[0];
}

void Partitioner::emitClient() {
  func::FuncOp program =
      emitRole("client", Role::Client, main.getResultTypes());
  OpBuilder b = OpBuilder::atBlockEnd(&program.getBody().front());
  Value x = takesRows ? Value(RowsOp::create(b, main.getLoc(), rows))
                      : Value(TokensOp::create(b, main.getLoc(), ids));
  Value positions =
      PositionsOp::create(b, main.getLoc(), ids, program.getArgument(0));
  if (!takesRows)
    x = callSegment(b, {SegmentKey::Embed}, {constant(b, 0), x, positions})[0];
  x = emitClientLayers(b, 0, first, x, positions);
  SendOp::create(b, layers.getLoc(), "enter", x, constant(b, first));
  x = ReceiveOp::create(b, layers.getLoc(), leaving, "leave",
                        constant(b, end - 1))
          .getResult(0);
  x = emitClientLayers(b, end, order.size(), x, positions);
  x = WantedOp::create(b, main.getLoc(), x);
  if (!head.empty())
    x = callSegment(b, {SegmentKey::Head}, {constant(b, 0), x})[0];
  func::ReturnOp::create(b, main.getLoc(), x);
}

void Partitioner::emitComp() {
  func::FuncOp program = emitRole("comp", Role::Comp, {});
  OpBuilder b = OpBuilder::atBlockEnd(&program.getBody().front());
  Value positions =
      PositionsOp::create(b, main.getLoc(), ids, program.getArgument(0));
  Value begin = constant(b, first);
  Value x =
      ReceiveOp::create(b, layers.getLoc(), rows, "enter", begin).getResult(0);
  sendUp(
      b, order[first],
      callSegment(b, {SegmentKey::Enter, order[first]}, {begin, x, positions}),
      begin);

  // Pairs of neighbouring kinds, numbered so that the loop can switch on them.
  SmallVector<int32_t> pairs(order.size(), 0);
  int32_t count = kinds.size();
  for (int64_t layer = first; layer + 1 < end; ++layer)
    pairs[layer] = order[layer] * count + order[layer + 1];
  x = emitLayerLoop(
      b, layers.getLoc(), first, end - 1, pairs, x,
      [&](OpBuilder &inner, int32_t pair, Value layer,
          ValueRange carried) -> SmallVector<Value> {
        int32_t kind = pair / count, next = pair % count;
        SmallVector<Value> operands = {layer, carried[0], positions};
        llvm::append_range(operands, receivePartials(inner, kind, layer));
        SmallVector<Value> values =
            callSegment(inner, {SegmentKey::Pair, kind, next}, operands);
        Value following = arith::AddIOp::create(inner, layers.getLoc(), layer,
                                                constant(inner, 1));
        sendUp(inner, next, ValueRange(values).drop_front(), following);
        return {values[0]};
      })[0];

  Value last = constant(b, end - 1);
  SmallVector<Value> operands = {last, x, positions};
  llvm::append_range(operands, receivePartials(b, order[end - 1], last));
  SendOp::create(b, layers.getLoc(), "leave",
                 callSegment(b, {SegmentKey::Leave, order[end - 1]}, operands),
                 last);
  func::ReturnOp::create(b, main.getLoc());
}

void Partitioner::emitAttn() {
  func::FuncOp program = emitRole("attn", Role::Attn, {});
  OpBuilder b = OpBuilder::atBlockEnd(&program.getBody().front());
  SmallVector<int32_t> layerClasses =
      llvm::map_to_vector(order, [&](int32_t kind) { return classOf[kind]; });
  emitLayerLoop(
      b, layers.getLoc(), first, end, layerClasses, {},
      [&](OpBuilder &inner, int32_t number, Value layer,
          ValueRange) -> SmallVector<Value> {
        const AttentionClass &c = classes[number];
        Location loc = attentionOfClass(number);
        auto query = ReceiveOp::create(inner, loc, {c.query, ids},
                                       "query" + std::to_string(number), layer);
        auto key = ReceiveOp::create(inner, loc, {c.key, c.key, ids},
                                     "key" + std::to_string(number), layer);
        auto cached =
            AppendOp::create(inner, loc, c.key, c.key, ids, key.getResult(0),
                             key.getResult(1), key.getResult(2), layer);
        auto partial = PartialAttentionOp::create(
            inner, loc, c.partial, c.lse, query.getResult(0),
            query.getResult(1), cached.getKeys(), cached.getValues(),
            cached.getKeyPositions(), c.mask, c.scale, c.softCap);
        SendOp::create(inner, loc, "partial" + std::to_string(number),
                       partial.getResults(), layer);
        return {};
      });
  func::ReturnOp::create(b, main.getLoc());
}
