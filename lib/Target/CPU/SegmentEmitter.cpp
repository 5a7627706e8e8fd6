//===- SegmentEmitter.cpp - kernel calls of a planned segment -------------===//

#include "SegmentEmitter.h"
#include "KernelTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rshard;

Value cpu::asKernelView(OpBuilder &ops, Location loc, Value memory) {
  auto type = cast<MemRefType>(memory.getType());
  SmallVector<int64_t> strides(type.getRank(), 1);
  SmallVector<int64_t> shape(type.getShape());
  shape[0] = ShapedType::kDynamic;
  if (type.getRank() == 2)
    strides[0] = type.getDimSize(1);
  auto wanted = MemRefType::get(
      shape, type.getElementType(),
      StridedLayoutAttr::get(ops.getContext(), ShapedType::kDynamic, strides));
  if (type == wanted)
    return memory;
  return memref::CastOp::create(ops, loc, wanted, memory);
}

namespace {

cpu::Activation kernelOf(std::optional<rshard::Activation> activation) {
  if (!activation)
    return cpu::Activation::None;
  switch (*activation) {
  case rshard::Activation::SiLU:
    return cpu::Activation::Silu;
  case rshard::Activation::GELU:
    return cpu::Activation::Gelu;
  case rshard::Activation::GELUTanh:
    return cpu::Activation::GeluTanh;
  case rshard::Activation::ReLU:
    return cpu::Activation::Relu;
  }
  llvm_unreachable("all activations have kernels");
}

/// Emits the kernel calls of one planned segment.
class SegmentEmitter {
public:
  SegmentEmitter(func::FuncOp source, const cpu::SegmentPlan &plan,
                 cpu::KernelLibrary &kernels, cpu::WeightRegistry &weights,
                 MemRefType workspaceType)
      : source(source), plan(plan), kernels(kernels), weights(weights),
        workspaceType(workspaceType), types(source.getContext()),
        ops(source.getContext()) {}

  LogicalResult run();

private:
  Type argumentType(Type tensor);
  LogicalResult emit(const cpu::Step &step);
  LogicalResult emitNorm(NormOp op, Value y);
  LogicalResult emitLinear(const cpu::Step &step, Value y);
  LogicalResult emitEmbedding(const cpu::Step &step, Value y);
  LogicalResult emitRope(RopeOp op, Value y);
  FailureOr<Value> parameter(Operation *user, Value value,
                             cpu::Packing packing);
  Value at(cpu::Storage storage, int64_t width);
  Value at(Value value) { return at(plan.storageOf(value), widthOf(value)); }
  bool sameStorage(Value a, Value b) {
    cpu::Storage first = plan.storageOf(a), second = plan.storageOf(b);
    return first.kind == second.kind && first.index == second.index;
  }
  static int64_t widthOf(Value value) {
    return getRowWidth(cast<ShapedType>(value.getType()));
  }
  LogicalResult call(Location loc, func::FuncOp kernel, ValueRange arguments) {
    func::CallOp::create(ops, loc, kernel, arguments);
    return success();
  }

  func::FuncOp source, target;
  const cpu::SegmentPlan &plan;
  cpu::KernelLibrary &kernels;
  cpu::WeightRegistry &weights;
  MemRefType workspaceType;
  cpu::KernelTypes types;
  OpBuilder ops;
  IRMapping scalars;
  Value frame, rows, workspace, workspaceRows;
  ValueRange inputs, outputs;
  /// Views of the workspace by (first column, width).
  DenseMap<std::pair<int64_t, int64_t>, Value> slots;
};

Type SegmentEmitter::argumentType(Type tensor) {
  auto type = cast<ShapedType>(tensor);
  return type.getElementType().isInteger(32) ? types.table()
                                             : types.matrix(getRowWidth(type));
}

LogicalResult SegmentEmitter::run() {
  SmallVector<Type> arguments{ops.getIndexType(),
                              FrameType::get(ops.getContext())};
  for (Type type : source.getArgumentTypes().drop_front())
    arguments.push_back(argumentType(type));
  for (Type type : source.getResultTypes())
    arguments.push_back(argumentType(type));
  ops.setInsertionPoint(source);
  target = func::FuncOp::create(ops, source.getLoc(), source.getName(),
                                ops.getFunctionType(arguments, {}));
  target.setPrivate();
  Block *body = target.addEntryBlock();
  frame = body->getArgument(1);
  inputs = body->getArguments().slice(2, source.getNumArguments() - 1);
  outputs = body->getArguments().take_back(source.getNumResults());
  scalars.map(source.getArgument(0), body->getArgument(0));
  ops.setInsertionPointToStart(body);
  Location loc = source.getLoc();
  // All values have the rows of the outputs.
  if (!outputs.empty())
    rows = memref::DimOp::create(ops, loc, outputs[0], 0);
  if (plan.getWorkspaceWidth()) {
    workspace =
        GetBufferOp::create(ops, loc, workspaceType, frame, cpu::workspaceName);
    workspaceRows = memref::DimOp::create(ops, loc, workspace, 0);
  }
  // Layer numbers are computed once, at the top.
  for (Operation &op : source.getBody().front())
    if (isa<arith::ArithDialect>(op.getDialect()))
      ops.clone(op, scalars);
  for (const cpu::Step &step : plan.getSteps())
    if (failed(emit(step)))
      return failure();
  auto results = source.getBody().front().getTerminator()->getOperands();
  for (unsigned output : plan.getCopies()) {
    Value value = results[output];
    if (!cast<ShapedType>(value.getType()).getElementType().isF32())
      return source.emitOpError(
          "returns an argument that is no tensor of rows");
    (void)call(loc, kernels.activation(widthOf(value), cpu::Activation::None),
               {at(value), outputs[output]});
  }
  func::ReturnOp::create(ops, loc);
  return success();
}

/// The rows of a value, wherever it lives.
Value SegmentEmitter::at(cpu::Storage storage, int64_t width) {
  if (storage.kind == cpu::Storage::Input)
    return inputs[storage.index];
  if (storage.kind == cpu::Storage::Output)
    return outputs[storage.index];
  Value &slot = slots[{storage.index, width}];
  if (slot)
    return slot;
  Location loc = source.getLoc();
  Value column = arith::ConstantIndexOp::create(ops, loc, storage.index);
  Value offset = arith::MulIOp::create(ops, loc, column, workspaceRows);
  return slot = memref::ReinterpretCastOp::create(
             ops, loc, cast<MemRefType>(types.matrix(width)), workspace,
             OpFoldResult(offset),
             ArrayRef<OpFoldResult>{rows, ops.getIndexAttr(width)},
             ArrayRef<OpFoldResult>{ops.getIndexAttr(width),
                                    ops.getIndexAttr(1)});
}

FailureOr<Value> SegmentEmitter::parameter(Operation *user, Value value,
                                           cpu::Packing packing) {
  auto op = value.getDefiningOp<ParameterOp>();
  if (!op)
    return user->emitOpError("takes a weight that is not the result of an "
                             "rshard.parameter, which cpu code cannot pack");
  Value layer =
      op.getLayer() ? scalars.lookupOrDefault(op.getLayer()) : Value();
  return weights.get(ops, op, frame, layer, packing);
}

LogicalResult SegmentEmitter::emit(const cpu::Step &step) {
  Location loc = step.op->getLoc();
  Value y = at(step.result);
  int64_t width = widthOf(step.result);
  return llvm::TypeSwitch<Operation *, LogicalResult>(step.root)
      .Case([&](LinearOp) { return emitLinear(step, y); })
      .Case([&](EmbeddingOp) { return emitEmbedding(step, y); })
      .Case([&](NormOp op) { return emitNorm(op, y); })
      .Case([&](RopeOp op) { return emitRope(op, y); })
      .Case([&](ActivationOp op) {
        return call(loc, kernels.activation(width, kernelOf(op.getKind())),
                    {at(op.getInput()), y});
      })
      .Case([&](GatedOp op) {
        return call(loc, kernels.gated({width, kernelOf(op.getKind())}),
                    {at(op.getGate()), at(op.getUp()), y});
      })
      .Case([&](AddOp op) {
        return call(loc, kernels.add(width),
                    {at(op.getLhs()), at(op.getRhs()), y});
      })
      .Case([&](AddRowOp op) -> LogicalResult {
        auto row = parameter(op, op.getRow(), cpu::Packing::Vector);
        if (failed(row))
          return failure();
        return call(loc, kernels.addRow(width), {at(op.getInput()), *row, y});
      })
      .Case([&](MergeOp op) {
        auto type = cast<ShapedType>(op.getResult().getType());
        return call(loc, kernels.merge(type.getDimSize(1), type.getDimSize(2)),
                    {at(op.getOutput()), at(op.getLse()), at(op.getBegin()),
                     at(op.getSource()), y});
      })
      .Default(
          [](Operation *op) { return op->emitOpError("has no cpu kernel"); });
}

LogicalResult SegmentEmitter::emitLinear(const cpu::Step &step, Value y) {
  auto op = cast<LinearOp>(step.root);
  auto weight = parameter(op, op.getWeight(), cpu::Packing::Panels);
  if (failed(weight))
    return failure();
  cpu::LinearParams params;
  params.inputs = widthOf(op.getInput());
  params.outputs = widthOf(op.getResult());
  params.weight =
      cast<MemRefType>((*weight).getType()).getElementType().isBF16()
          ? cpu::ElementKind::BF16
          : cpu::ElementKind::F32;
  params.activation = kernelOf(step.activation);
  params.bias = !!op.getBias();
  params.residual = !!step.residual;
  SmallVector<Value> arguments{at(op.getInput()), *weight};
  if (op.getBias()) {
    auto bias = parameter(op, op.getBias(), cpu::Packing::Vector);
    if (failed(bias))
      return failure();
    arguments.push_back(*bias);
  }
  if (step.residual)
    arguments.push_back(at(step.residual));
  arguments.push_back(y);
  return call(step.op->getLoc(), kernels.linear(params), arguments);
}

LogicalResult SegmentEmitter::emitEmbedding(const cpu::Step &step, Value y) {
  auto op = cast<EmbeddingOp>(step.root);
  auto table = parameter(op, op.getTable(), cpu::Packing::Rows);
  if (failed(table))
    return failure();
  auto type = cast<MemRefType>((*table).getType());
  cpu::EmbedParams params;
  params.width = type.getDimSize(1);
  params.element = type.getElementType().isBF16() ? cpu::ElementKind::BF16
                                                  : cpu::ElementKind::F32;
  params.constant = !!step.constant;
  params.accumulate = !!step.residual;
  Location loc = step.op->getLoc();
  // The kernel adds to what is in y. (If both are the same rows of a buffer
  // under two names, the copy changes nothing.)
  if (step.residual && !sameStorage(step.residual, step.result))
    (void)call(loc, kernels.activation(params.width, cpu::Activation::None),
               {at(step.residual), y});
  SmallVector<Value> arguments{at(op.getIds()),
                               cpu::asKernelView(ops, loc, *table)};
  if (step.constant) {
    auto row = parameter(step.op, step.constant, cpu::Packing::Vector);
    if (failed(row))
      return failure();
    arguments.push_back(*row);
  }
  arguments.push_back(y);
  return call(loc, kernels.embed(params), arguments);
}

LogicalResult SegmentEmitter::emitNorm(NormOp op, Value y) {
  auto type = cast<ShapedType>(op.getInput().getType());
  cpu::NormParams params;
  params.kind = op.getKind() == rshard::NormKind::RMS ? cpu::NormKind::Rms
                                                      : cpu::NormKind::Layer;
  params.width = type.getShape().back();
  params.heads = getRowWidth(type) / params.width;
  params.epsilon = op.getEps().convertToDouble();
  params.bias = !!op.getBias();
  auto scale = parameter(op, op.getScale(), cpu::Packing::Vector);
  if (failed(scale))
    return failure();
  SmallVector<Value> arguments{at(op.getInput()), *scale};
  if (op.getBias()) {
    auto bias = parameter(op, op.getBias(), cpu::Packing::Vector);
    if (failed(bias))
      return failure();
    arguments.push_back(*bias);
  }
  arguments.push_back(y);
  return call(op.getLoc(), kernels.norm(params), arguments);
}

LogicalResult SegmentEmitter::emitRope(RopeOp op, Value y) {
  auto type = cast<ShapedType>(op.getInput().getType());
  std::string name = ("rotary." + op.getRotary()).str();
  auto buffer = SymbolTable::lookupNearestSymbolFrom<BufferOp>(
      source, StringAttr::get(op.getContext(), name));
  if (!buffer)
    return op.emitOpError("needs the table @\"")
           << name << "\", which the schedule has not declared";
  Value table = GetBufferOp::create(ops, op.getLoc(), buffer.getType(), frame,
                                    buffer.getSymName());
  return call(op.getLoc(),
              kernels.rope({type.getDimSize(1), type.getDimSize(2)}),
              {at(op.getInput()), at(op.getPositions()),
               cpu::asKernelView(ops, op.getLoc(), table), y});
}

} // namespace

LogicalResult cpu::emitSegment(func::FuncOp segment, const SegmentPlan &plan,
                               KernelLibrary &kernels, WeightRegistry &weights,
                               MemRefType workspaceType) {
  return SegmentEmitter(segment, plan, kernels, weights, workspaceType).run();
}
