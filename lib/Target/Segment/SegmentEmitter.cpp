//===- SegmentEmitter.cpp - a planned segment on buffers ------------------===//

#include "rshard/Target/Segment/SegmentEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace rshard {

MemRefType kernelViewType(ShapedType rows) {
  MLIRContext *context = rows.getContext();
  if (rows.getElementType().isInteger(32))
    return MemRefType::get(
        {ShapedType::kDynamic}, rows.getElementType(),
        StridedLayoutAttr::get(context, ShapedType::kDynamic, {1}));
  int64_t width = getRowWidth(rows);
  return MemRefType::get(
      {ShapedType::kDynamic, width}, rows.getElementType(),
      StridedLayoutAttr::get(context, ShapedType::kDynamic, {width, 1}));
}

Value asKernelView(OpBuilder &ops, Location loc, Value memory) {
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

LogicalResult SegmentEmitter::run(func::FuncOp segment,
                                  const SegmentPlan &segmentPlan,
                                  MemRefType workspaceType) {
  source = segment;
  plan = &segmentPlan;
  scalars.clear();
  slots.clear();
  ops = OpBuilder(segment);
  SmallVector<Type> arguments{ops.getIndexType(),
                              FrameType::get(ops.getContext())};
  for (TypeRange types : {TypeRange(source.getArgumentTypes()).drop_front(),
                          TypeRange(source.getResultTypes())})
    for (Type type : types)
      arguments.push_back(kernelViewType(cast<ShapedType>(type)));
  auto target = func::FuncOp::create(ops, source.getLoc(), source.getName(),
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
  if (plan->getWorkspaceWidth()) {
    workspace =
        GetBufferOp::create(ops, loc, workspaceType, frame, workspaceName);
    workspaceRows = memref::DimOp::create(ops, loc, workspace, 0);
  }
  // Layer numbers are computed once, at the top.
  for (Operation &op : source.getBody().front())
    if (isa<arith::ArithDialect>(op.getDialect()))
      ops.clone(op, scalars);
  for (const Step &step : plan->getSteps())
    if (failed(emit(step, at(step.result))))
      return failure();
  auto results = source.getBody().front().getTerminator()->getOperands();
  for (unsigned output : plan->getCopies()) {
    Value value = results[output];
    if (cast<ShapedType>(value.getType()).getElementType().isInteger(32))
      return source.emitOpError(
          "returns an argument that is no tensor of rows");
    emitCopy(loc, at(value), outputs[output]);
  }
  func::ReturnOp::create(ops, loc);
  return success();
}

Value SegmentEmitter::at(Value value) {
  return at(plan->storageOf(value), cast<ShapedType>(value.getType()));
}

Value SegmentEmitter::at(Storage storage, ShapedType type) {
  if (storage.kind == Storage::Input)
    return inputs[storage.index];
  if (storage.kind == Storage::Output)
    return outputs[storage.index];
  int64_t width = getRowWidth(type);
  Value &slot = slots[{storage.index, width}];
  if (slot)
    return slot;
  Location loc = source.getLoc();
  Value column = arith::ConstantIndexOp::create(ops, loc, storage.index);
  Value offset = arith::MulIOp::create(ops, loc, column, workspaceRows);
  return slot = memref::ReinterpretCastOp::create(
             ops, loc, kernelViewType(type), workspace, OpFoldResult(offset),
             ArrayRef<OpFoldResult>{rows, ops.getIndexAttr(width)},
             ArrayRef<OpFoldResult>{ops.getIndexAttr(width),
                                    ops.getIndexAttr(1)});
}

bool SegmentEmitter::sameStorage(Value a, Value b) const {
  Storage first = plan->storageOf(a), second = plan->storageOf(b);
  return first.kind == second.kind && first.index == second.index;
}

FailureOr<ParameterOp> SegmentEmitter::parameterOf(Operation *user,
                                                   Value value) {
  auto op = value.getDefiningOp<ParameterOp>();
  if (!op)
    return user->emitOpError("takes a weight that is not the result of an "
                             "rshard.parameter, which code cannot pack");
  return op;
}

Value SegmentEmitter::getWeight(ArrayRef<ParameterOp> parameters,
                                StringRef pack, MemRefType type,
                                ParameterOp scale) {
  Value layer = ParameterOp(parameters.front()).getLayer();
  if (layer)
    layer = scalars.lookupOrDefault(layer);
  return weights.get(ops, parameters, scale, frame, layer, pack, type);
}

FailureOr<Value> SegmentEmitter::getRotary(RopeOp op) {
  std::string name = ("rotary." + op.getRotary()).str();
  auto buffer = SymbolTable::lookupNearestSymbolFrom<BufferOp>(
      source, StringAttr::get(op.getContext(), name));
  if (!buffer)
    return op.emitOpError("needs the table @\"")
           << name << "\", which the schedule has not declared";
  Value table = GetBufferOp::create(ops, op.getLoc(), buffer.getType(), frame,
                                    buffer.getSymName());
  return asKernelView(ops, op.getLoc(), table);
}

} // namespace rshard
