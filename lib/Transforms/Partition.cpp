//===- Partition.cpp - one program per role -------------------------------===//

#include "LayerLoop.h"
#include "LayerParts.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Transforms/Passes.h"
#include <compare>
#include <map>

namespace rshard {
#define GEN_PASS_DEF_PARTITIONPASS
#include "rshard/Transforms/Passes.h.inc"
} // namespace rshard

using namespace mlir;
using namespace rshard;

namespace {

/// Layers whose attention is the same share their routes: a class.
struct AttentionClass {
  MaskAttr mask;
  FloatAttr scale;
  RankedTensorType query, key;
  RankedTensorType partial, lse; ///< what AttnNodes return
  bool operator==(const AttentionClass &other) const {
    return mask == other.mask && scale == other.scale && query == other.query &&
           key == other.key;
  }
};

/// Which segment of which kind of layer; a pair is the end of one layer and the
/// beginning of one of kind `next`.
struct SegmentKey {
  enum Part { Embed, Enter, Pair, Leave, Finish, Head };
  Part part;
  int32_t kind = 0, next = 0;
  auto operator<=>(const SegmentKey &) const = default;
};

/// Builds the programs of the three roles from a planned module.
class Partitioner {
public:
  explicit Partitioner(ModuleOp module)
      : module(module), builder(module.getContext()), loc(module.getLoc()) {}

  LogicalResult run();

  int64_t numSegments = 0, numRecomputed = 0;

private:
  LogicalResult analyze();
  LogicalResult collectClasses();
  LogicalResult checkNames();
  void declareRoutes();
  void emitSegments();
  void emitClient();
  void emitComp();
  void emitAttn();

  /// Writes the private function (layer, arguments...) -> results of a segment
  /// by `emit`, unless it is there already.
  void
  emitSegment(SegmentKey key, TypeRange arguments, TypeRange results,
              function_ref<SmallVector<Value>(OpBuilder &, ValueRange)> emit);
  func::FuncOp emitRole(StringRef name, Role role, TypeRange results);
  SmallVector<Value> callSegment(OpBuilder &b, SegmentKey key,
                                 ValueRange operands);
  Value constant(OpBuilder &b, int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }

  StringRef nameOf(int32_t kind) const {
    return kinds[kind].getLayer().getSymName();
  }
  std::string segmentName(SegmentKey key) const;
  std::string routeName(StringRef route, int32_t kind) const {
    return (route + Twine(classOf[kind])).str();
  }

  SmallVector<Type> enterResults(int32_t kind) const {
    const AttentionClass &c = classes[classOf[kind]];
    return {c.query, c.key, c.key};
  }
  SmallVector<Type> partialTypes(int32_t kind) const {
    const AttentionClass &c = classes[classOf[kind]];
    return {c.partial, c.lse, ids, ids};
  }
  Value mergePartials(OpBuilder &b, int32_t kind, ValueRange partials) const {
    return MergeOp::create(b, loc, classes[classOf[kind]].query, partials[0],
                           partials[1], partials[2], partials[3]);
  }
  SmallVector<Value> receivePartials(OpBuilder &b, int32_t kind, Value layer);
  void sendUp(OpBuilder &b, int32_t kind, ValueRange values, Value layer);
  Value emitClientLayers(OpBuilder &b, int64_t first, int64_t last, Value rows,
                         Value positions);

  ModuleOp module;
  OpBuilder builder;
  Location loc;
  func::FuncOp main;
  LayersOp layers;
  SmallVector<LayerParts> kinds;
  SmallVector<int32_t> order;
  SmallVector<AttentionClass> classes;
  SmallVector<int32_t> classOf; // by kind
  SmallVector<Operation *> embedding, head;
  std::map<SegmentKey, func::FuncOp> segments;
  Type rows, ids, index;
  Type partialElement;
  int64_t first = 0, end = 0; // the sharded layers
};

} // namespace

//===----------------------------------------------------------------------===//
// Analysis
//===----------------------------------------------------------------------===//

LogicalResult Partitioner::analyze() {
  FailureOr<tokenset::Plan> plan = readPlan(module);
  if (failed(plan))
    return failure();
  FailureOr<LayersOp> found = findLayers(module);
  if (failed(found))
    return failure();
  layers = *found;
  main = layers->getParentOfType<func::FuncOp>();
  Block &body = main.getBody().front();
  ids = RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());
  index = builder.getIndexType();
  rows = layers.getInput().getType();
  partialElement = (*module.getOps<PlacementOp>().begin()).getPartialType();
  if (main.getFunctionType().getInputs() != ArrayRef<Type>{ids, ids} ||
      main.getNumResults() != 1)
    return main.emitOpError("has type ")
           << main.getFunctionType() << " vs (tokens, positions) -> rows";
  if (layers.getPositions() != main.getArgument(1))
    return layers.emitOpError(
        "positions are not the second argument of the model");
  if (failed(checkTokenRules(main, /*allowMixing=*/false)))
    return failure();

  embedding = collectProducers(main, layers.getInput(), {});
  head = collectProducers(main, body.getTerminator()->getOperands(), {layers});
  for (Operation *op : head)
    for (Value operand : op->getOperands())
      if (isa<BlockArgument>(operand))
        return op->emitOpError(
            "behind the layers depends on tokens or positions: the client's "
            "rows do not carry them");

  for (auto name : layers.getKinds().getAsValueRange<FlatSymbolRefAttr>()) {
    FailureOr<LayerParts> parts =
        LayerParts::create(module.lookupSymbol<func::FuncOp>(name));
    if (failed(parts))
      return failure();
    numRecomputed += parts->getNumRecomputed();
    kinds.push_back(*parts);
  }
  llvm::append_range(order, layers.getOrder());
  first = plan->clientFirst;
  end = static_cast<int64_t>(order.size()) - plan->clientLast;
  if (first >= end)
    return layers.emitOpError("client layers: ")
           << plan->clientFirst << " + " << plan->clientLast
           << " vs less than the " << order.size() << " layers of the model";
  return success();
}

LogicalResult Partitioner::collectClasses() {
  AttentionOp first;
  for (LayerParts &parts : kinds) {
    AttentionOp attention = parts.getAttention();
    if (!first)
      first = attention;
    // All layers share the pools of a rank and the rows of its caches.
    if (attention.getQuery().getType() != first.getQuery().getType() ||
        attention.getKey().getType() != first.getKey().getType()) {
      InFlightDiagnostic diag = attention.emitOpError("heads: ")
                                << attention.getQuery().getType() << ", "
                                << attention.getKey().getType() << " vs "
                                << first.getQuery().getType() << ", "
                                << first.getKey().getType();
      diag.attachNote(first.getLoc()) << "in another layer";
      return diag;
    }
    auto query = cast<RankedTensorType>(attention.getQuery().getType());
    auto lse = RankedTensorType::get(
        {ShapedType::kDynamic, query.getDimSize(1)}, builder.getF32Type());
    AttentionClass wanted = {
        attention.getMask(),
        attention.getScaleAttr(),
        query,
        cast<RankedTensorType>(attention.getKey().getType()),
        RankedTensorType::get(query.getShape(), partialElement),
        lse};
    auto it = llvm::find(classes, wanted);
    classOf.push_back(it - classes.begin());
    if (it == classes.end())
      classes.push_back(wanted);
  }
  return success();
}

/// The programs, and the segments that the runtime's manifest asks for, have
/// names of their own.
LogicalResult Partitioner::checkNames() {
  SmallVector<std::string> taken = {"client",       "comp",        "attn",
                                    "client.embed", "client.head", "enter",
                                    "leave"};
  for (size_t number = 0; number < classes.size(); ++number)
    for (StringRef route : {"query", "key", "partial"})
      taken.push_back((route + Twine(number)).str());
  for (const std::string &name : taken)
    if (Operation *op = module.lookupSymbol(name))
      return op->emitOpError("is called @")
             << name << " vs a name that the partitioned phase does not use";
  return success();
}

//===----------------------------------------------------------------------===//
// Routes and segments
//===----------------------------------------------------------------------===//

void Partitioner::declareRoutes() {
  auto declare = [&](const Twine &name, RouteKind kind, IntegerAttr number,
                     MaskAttr mask, ArrayRef<Type> types) {
    RouteOp::create(builder, loc, builder.getStringAttr(name),
                    RouteKindAttr::get(builder.getContext(), kind), number,
                    mask, builder.getTypeArrayAttr(types));
  };
  declare("enter", RouteKind::Enter, {}, {}, {rows});
  for (auto [number, c] : llvm::enumerate(classes)) {
    IntegerAttr i = builder.getI64IntegerAttr(number);
    declare("query" + Twine(number), RouteKind::Query, i, c.mask, {c.query});
    declare("key" + Twine(number), RouteKind::Key, i, c.mask, {c.key, c.key});
    declare("partial" + Twine(number), RouteKind::Partial, i, c.mask,
            {c.partial, c.lse});
  }
  declare("leave", RouteKind::Leave, {}, {}, {rows});
}

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

void Partitioner::emitSegment(
    SegmentKey key, TypeRange arguments, TypeRange results,
    function_ref<SmallVector<Value>(OpBuilder &, ValueRange)> emit) {
  func::FuncOp &segment = segments[key];
  if (segment)
    return;
  SmallVector<Type> inputs = {index};
  llvm::append_range(inputs, arguments);
  segment = func::FuncOp::create(loc, segmentName(key),
                                 builder.getFunctionType(inputs, results));
  segment.setPrivate();
  // Names of layers are the user's: whoever comes second is renamed.
  SymbolTable(module).insert(segment, builder.getInsertionPoint());
  OpBuilder inner = OpBuilder::atBlockEnd(segment.addEntryBlock());
  SmallVector<Value> values = emit(inner, segment.getArguments());
  func::ReturnOp::create(inner, loc, values);
  ++numSegments;
}

void Partitioner::emitSegments() {
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
                  Value following =
                      arith::AddIOp::create(b, loc, args[0], constant(b, 1));
                  SmallVector<Value> values = {left};
                  llvm::append_range(values, kinds[next].emitEnter(
                                                 b, following, left, args[2]));
                  return values;
                });
  }
  SmallVector<Type> arguments = {rows, ids};
  llvm::append_range(arguments, partialTypes(sharded.back()));
  emitSegment({SegmentKey::Leave, sharded.back()}, arguments, rows,
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
    emitSegment({SegmentKey::Head}, rows, main.getResultTypes(),
                [&](OpBuilder &b, ValueRange args) -> SmallVector<Value> {
                  IRMapping mapping;
                  mapping.map(layers.getResult(), args[1]);
                  for (Operation *op : head)
                    b.clone(*op, mapping);
                  return {mapping.lookupOrDefault(
                      main.getBody().front().getTerminator()->getOperand(0))};
                });
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

func::FuncOp Partitioner::emitRole(StringRef name, Role role,
                                   TypeRange results) {
  auto program = func::FuncOp::create(builder, loc, name,
                                      builder.getFunctionType(index, results));
  program->setAttr(roleAttrName, RoleAttr::get(builder.getContext(), role));
  program.addEntryBlock();
  return program;
}

SmallVector<Value> Partitioner::callSegment(OpBuilder &b, SegmentKey key,
                                            ValueRange operands) {
  return SmallVector<Value>(
      func::CallOp::create(b, loc, segments[key], operands).getResults());
}

SmallVector<Value> Partitioner::receivePartials(OpBuilder &b, int32_t kind,
                                                Value layer) {
  return SmallVector<Value>(ReceiveOp::create(b, loc, partialTypes(kind),
                                              routeName("partial", kind), layer)
                                .getResults());
}

void Partitioner::sendUp(OpBuilder &b, int32_t kind, ValueRange values,
                         Value layer) {
  SendOp::create(b, loc, routeName("query", kind), values.take_front(1), layer);
  SendOp::create(b, loc, routeName("key", kind), values.drop_front(1), layer);
}

Value Partitioner::emitClientLayers(OpBuilder &b, int64_t from, int64_t to,
                                    Value x, Value positions) {
  return emitLayerLoop(
      b, loc, from, to, order, x,
      [&](OpBuilder &inner, int32_t kind, Value layer,
          ValueRange carried) -> SmallVector<Value> {
        const AttentionClass &c = classes[classOf[kind]];
        SmallVector<Value> qkv = callSegment(inner, {SegmentKey::Enter, kind},
                                             {layer, carried[0], positions});
        auto cached = AppendOp::create(inner, loc, c.key, c.key, ids, qkv[1],
                                       qkv[2], positions, layer);
        auto partial = PartialAttentionOp::create(
            inner, loc, c.query, c.lse, qkv[0], positions, cached.getKeys(),
            cached.getValues(), cached.getKeyPositions(), c.mask, c.scale);
        return callSegment(inner, {SegmentKey::Finish, kind},
                           {layer, carried[0], positions, partial.getOutput()});
      })[0];
}

void Partitioner::emitClient() {
  func::FuncOp program =
      emitRole("client", Role::Client, main.getResultTypes());
  OpBuilder b = OpBuilder::atBlockEnd(&program.getBody().front());
  Value tokens = TokensOp::create(b, loc, ids);
  Value positions = PositionsOp::create(b, loc, ids, program.getArgument(0));
  Value x = callSegment(b, {SegmentKey::Embed},
                        {constant(b, 0), tokens, positions})[0];
  x = emitClientLayers(b, 0, first, x, positions);
  SendOp::create(b, loc, "enter", x, constant(b, first));
  x = ReceiveOp::create(b, loc, rows, "leave", constant(b, end - 1))
          .getResult(0);
  x = emitClientLayers(b, end, order.size(), x, positions);
  x = WantedOp::create(b, loc, x);
  if (!head.empty())
    x = callSegment(b, {SegmentKey::Head}, {constant(b, 0), x})[0];
  func::ReturnOp::create(b, loc, x);
}

void Partitioner::emitComp() {
  func::FuncOp program = emitRole("comp", Role::Comp, {});
  OpBuilder b = OpBuilder::atBlockEnd(&program.getBody().front());
  Value positions = PositionsOp::create(b, loc, ids, program.getArgument(0));
  Value begin = constant(b, first);
  Value x = ReceiveOp::create(b, loc, rows, "enter", begin).getResult(0);
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
      b, loc, first, end - 1, pairs, x,
      [&](OpBuilder &inner, int32_t pair, Value layer,
          ValueRange carried) -> SmallVector<Value> {
        int32_t kind = pair / count, next = pair % count;
        SmallVector<Value> operands = {layer, carried[0], positions};
        llvm::append_range(operands, receivePartials(inner, kind, layer));
        SmallVector<Value> values =
            callSegment(inner, {SegmentKey::Pair, kind, next}, operands);
        Value following =
            arith::AddIOp::create(inner, loc, layer, constant(inner, 1));
        sendUp(inner, next, ValueRange(values).drop_front(), following);
        return {values[0]};
      })[0];

  Value last = constant(b, end - 1);
  SmallVector<Value> operands = {last, x, positions};
  llvm::append_range(operands, receivePartials(b, order[end - 1], last));
  SendOp::create(b, loc, "leave",
                 callSegment(b, {SegmentKey::Leave, order[end - 1]}, operands),
                 last);
  func::ReturnOp::create(b, loc);
}

void Partitioner::emitAttn() {
  func::FuncOp program = emitRole("attn", Role::Attn, {});
  OpBuilder b = OpBuilder::atBlockEnd(&program.getBody().front());
  SmallVector<int32_t> layerClasses =
      llvm::map_to_vector(order, [&](int32_t kind) { return classOf[kind]; });
  emitLayerLoop(
      b, loc, first, end, layerClasses, {},
      [&](OpBuilder &inner, int32_t number, Value layer,
          ValueRange) -> SmallVector<Value> {
        const AttentionClass &c = classes[number];
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
            cached.getKeyPositions(), c.mask, c.scale);
        SendOp::create(inner, loc, "partial" + std::to_string(number),
                       partial.getResults(), layer);
        return {};
      });
  func::ReturnOp::create(b, loc);
}

LogicalResult Partitioner::run() {
  if (failed(analyze()))
    return failure();
  if (failed(collectClasses()) || failed(checkNames()))
    return failure();
  builder.setInsertionPoint(*module.getOps<func::FuncOp>().begin());
  declareRoutes();
  builder.setInsertionPointToEnd(module.getBody());
  emitSegments();
  emitClient();
  emitComp();
  emitAttn();
  SmallVector<int32_t> layerClasses =
      llvm::map_to_vector(order, [&](int32_t kind) { return classOf[kind]; });
  module->setAttr(layerClassesAttrName,
                  builder.getDenseI32ArrayAttr(layerClasses));
  // The model is now in the programs.
  main.erase();
  for (const LayerParts &parts : kinds) {
    func::FuncOp layer = parts.getLayer();
    layer.erase();
  }
  return success();
}

namespace {
struct PartitionPass : rshard::impl::PartitionPassBase<PartitionPass> {
  void runOnOperation() override {
    Partitioner partitioner(getOperation());
    if (failed(partitioner.run()))
      return signalPassFailure();
    numSegments += partitioner.numSegments;
    numRecomputed += partitioner.numRecomputed;
  }
};
} // namespace
