//===- SegmentKernels.cpp - the CPU kernels of a segment's steps ----------===//

#include "SegmentKernels.h"
#include "KernelTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/Twine.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace rshard;
using cpu::SegmentKernels;

LogicalResult SegmentKernels::call(Location loc, func::FuncOp kernel,
                                   ValueRange arguments) {
  func::CallOp::create(ops, loc, kernel, arguments);
  return success();
}

void SegmentKernels::emitCopy(Location loc, Value x, Value y) {
  (void)call(loc, kernels.activation(widthOf(y), std::nullopt), {x, y});
}

/// The element type in memory: f16 is widened.
static Type elementOf(WeightOp weight) {
  Type element = cast<ShapedType>(weight.getType()).getElementType();
  return element.isBF16() ? element : Float32Type::get(weight.getContext());
}

FailureOr<Value> SegmentKernels::panelsOf(Operation *user, Value value) {
  auto parameter = parameterOf(user, value);
  if (failed(parameter))
    return failure();
  WeightOp weight = weights.weightOf(*parameter);
  auto type = cast<ShapedType>(weight.getType());
  Type element = elementOf(weight);
  auto count =
      static_cast<int64_t>(llvm::divideCeil(type.getDimSize(0), shape.panel));
  std::string pack = (Twine("panel:") + Twine(shape.panel) +
                      (element.isBF16() ? ":bf16" : ":f32"))
                         .str();
  return getWeight(
      *parameter, pack,
      MemRefType::get({count, type.getDimSize(1), shape.panel}, element));
}

FailureOr<Value> SegmentKernels::vectorOf(Operation *user, Value value) {
  auto parameter = parameterOf(user, value);
  if (failed(parameter))
    return failure();
  auto type = cast<ShapedType>(weights.weightOf(*parameter).getType());
  return getWeight(*parameter, "vector",
                   MemRefType::get({type.getNumElements()}, ops.getF32Type()));
}

FailureOr<Value> SegmentKernels::tableOf(Operation *user, Value value) {
  auto parameter = parameterOf(user, value);
  if (failed(parameter))
    return failure();
  WeightOp weight = weights.weightOf(*parameter);
  Type element = elementOf(weight);
  return getWeight(
      *parameter, element.isBF16() ? "rows:bf16" : "rows:f32",
      MemRefType::get(cast<ShapedType>(weight.getType()).getShape(), element));
}

LogicalResult SegmentKernels::emit(const Step &step, Value y) {
  Location loc = step.op->getLoc();
  int64_t width = widthOf(step.result);
  return llvm::TypeSwitch<Operation *, LogicalResult>(step.root)
      .Case([&](LinearOp) { return emitLinear(step, y); })
      .Case([&](EmbeddingOp) { return emitEmbedding(step, y); })
      .Case([&](NormOp op) { return emitNorm(op, y); })
      .Case([&](RopeOp op) { return emitRope(op, y); })
      .Case([&](ActivationOp op) {
        return call(loc, kernels.activation(width, op.getKind()),
                    {at(op.getInput()), y});
      })
      .Case([&](GatedOp op) {
        return call(loc, kernels.gated({width, op.getKind()}),
                    {at(op.getGate()), at(op.getUp()), y});
      })
      .Case([&](AddOp op) {
        return call(loc, kernels.add(width),
                    {at(op.getLhs()), at(op.getRhs()), y});
      })
      .Case([&](AddRowOp op) -> LogicalResult {
        auto row = vectorOf(op, op.getRow());
        if (failed(row))
          return failure();
        return call(loc, kernels.addRow(width), {at(op.getInput()), *row, y});
      })
      .Case([&](HeadsOp op) {
        int64_t head = cast<ShapedType>(op.getResult().getType()).getDimSize(2);
        return call(loc,
                    kernels.columns(widthOf(op.getInput()),
                                    op.getRange()[0] * head, width),
                    {at(op.getInput()), y});
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

LogicalResult SegmentKernels::emitLinear(const Step &step, Value y) {
  auto op = cast<LinearOp>(step.root);
  auto weight = panelsOf(op, op.getWeight());
  if (failed(weight))
    return failure();
  cpu::LinearParams params;
  params.inputs = widthOf(op.getInput());
  params.outputs = widthOf(op.getResult());
  params.weight =
      cast<MemRefType>((*weight).getType()).getElementType().isBF16()
          ? cpu::ElementKind::BF16
          : cpu::ElementKind::F32;
  params.activation = step.activation;
  params.bias = !!op.getBias();
  params.residual = !!step.residual;
  SmallVector<Value> arguments{at(op.getInput()), *weight};
  if (op.getBias()) {
    auto bias = vectorOf(op, op.getBias());
    if (failed(bias))
      return failure();
    arguments.push_back(*bias);
  }
  if (step.residual)
    arguments.push_back(at(step.residual));
  arguments.push_back(y);
  return call(step.op->getLoc(), kernels.linear(params), arguments);
}

LogicalResult SegmentKernels::emitEmbedding(const Step &step, Value y) {
  auto op = cast<EmbeddingOp>(step.root);
  auto table = tableOf(op, op.getTable());
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
    emitCopy(loc, at(step.residual), y);
  SmallVector<Value> arguments{at(op.getIds()), asKernelView(ops, loc, *table)};
  if (step.constant) {
    auto row = vectorOf(step.op, step.constant);
    if (failed(row))
      return failure();
    arguments.push_back(*row);
  }
  arguments.push_back(y);
  return call(loc, kernels.embed(params), arguments);
}

LogicalResult SegmentKernels::emitNorm(NormOp op, Value y) {
  auto type = cast<ShapedType>(op.getInput().getType());
  cpu::NormParams params;
  params.kind = op.getKind();
  params.width = type.getShape().back();
  params.heads = getRowWidth(type) / params.width;
  params.epsilon = op.getEps().convertToDouble();
  params.bias = !!op.getBias();
  auto scale = vectorOf(op, op.getScale());
  if (failed(scale))
    return failure();
  SmallVector<Value> arguments{at(op.getInput()), *scale};
  if (op.getBias()) {
    auto bias = vectorOf(op, op.getBias());
    if (failed(bias))
      return failure();
    arguments.push_back(*bias);
  }
  arguments.push_back(y);
  return call(op.getLoc(), kernels.norm(params), arguments);
}

LogicalResult SegmentKernels::emitRope(RopeOp op, Value y) {
  auto type = cast<ShapedType>(op.getInput().getType());
  auto angles = getRotary(op);
  if (failed(angles))
    return failure();
  return call(op.getLoc(),
              kernels.rope({type.getDimSize(1), type.getDimSize(2)}),
              {at(op.getInput()), at(op.getPositions()), *angles, y});
}
