//===- ConvertToKernels.cpp - segments and row operations to kernels ------===//

#include "KernelTypes.h"
#include "SegmentPlan.h"
#include "WeightRegistry.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "rshard/Target/CPU/Passes.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

namespace rshard::cpu {
#define GEN_PASS_DEF_CONVERTTOKERNELS
#include "rshard/Target/CPU/Passes.h.inc"
} // namespace rshard::cpu

using namespace mlir;
using namespace rshard;

namespace {

constexpr StringLiteral workspaceName = "workspace";

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

/// Any view of rows or of a table in the form that kernels take.
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

//===----------------------------------------------------------------------===//
// Segments
//===----------------------------------------------------------------------===//

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
        GetBufferOp::create(ops, loc, workspaceType, frame, workspaceName);
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
  SmallVector<Value> arguments{at(op.getIds()), asKernelView(ops, loc, *table)};
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
               asKernelView(ops, op.getLoc(), table), y});
}

//===----------------------------------------------------------------------===//
// The driver
//===----------------------------------------------------------------------===//

/// The buffer that a view is part of, null if that is not known.
StringAttr bufferOf(Value memory) {
  while (Operation *op = memory.getDefiningOp()) {
    if (auto get = dyn_cast<GetBufferOp>(op))
      return get.getBufferAttr().getAttr();
    if (!isa<memref::SubViewOp, memref::CastOp>(op))
      return {};
    memory = op->getOperand(0);
  }
  return {};
}

class ConvertToKernels
    : public cpu::impl::ConvertToKernelsBase<ConvertToKernels> {
public:
  using ConvertToKernelsBase::ConvertToKernelsBase;

private:
  void runOnOperation() override;
  LogicalResult convertSegments(cpu::KernelLibrary &kernels,
                                cpu::WeightRegistry &weights);
  LogicalResult convertDriver(cpu::KernelLibrary &kernels);
};

void ConvertToKernels::runOnOperation() {
  ModuleOp module = getOperation();
  auto target = cpu::CpuTarget::get(cpu, [&] { return module.emitError(); });
  if (failed(target))
    return signalPassFailure();
  cpu::KernelLibrary kernels(module, target->shape);
  cpu::WeightRegistry weights(module, target->shape);
  int64_t functions = llvm::range_size(module.getOps<func::FuncOp>());
  if (failed(convertSegments(kernels, weights)) ||
      failed(convertDriver(kernels)))
    return signalPassFailure();
  weights.record();
  numKernels = llvm::range_size(module.getOps<func::FuncOp>()) - functions;
}

LogicalResult ConvertToKernels::convertSegments(cpu::KernelLibrary &kernels,
                                                cpu::WeightRegistry &weights) {
  ModuleOp module = getOperation();
  SymbolTableCollection symbols;
  llvm::SetVector<func::FuncOp> segments;
  DenseMap<func::FuncOp, SmallVector<LaunchOp>> launches;
  WalkResult known = module.walk([&](LaunchOp launch) {
    auto segment = symbols.lookupNearestSymbolFrom<func::FuncOp>(
        launch, launch.getSegmentAttr());
    if (!segment || segment.isExternal()) {
      launch.emitOpError("runs ")
          << launch.getSegmentAttr() << ", which is no function with a body";
      return WalkResult::interrupt();
    }
    launches[segment].push_back(launch);
    return WalkResult::advance();
  });
  if (known.wasInterrupted())
    return failure();
  // In the order of the module, so that slots do not depend on the driver.
  for (auto function : module.getOps<func::FuncOp>())
    if (launches.contains(function))
      segments.insert(function);

  int64_t width = 0;
  std::vector<cpu::SegmentPlan> plans;
  for (func::FuncOp segment : segments) {
    auto plan =
        cpu::SegmentPlan::create(segment, [&](unsigned input, unsigned output) {
          return llvm::any_of(launches[segment], [&](LaunchOp launch) {
            StringAttr in = bufferOf(launch.getInputs()[input]);
            StringAttr out = bufferOf(launch.getOutputs()[output]);
            if (launch.getInputs()[input].getType() !=
                launch.getOutputs()[output].getType())
              return false;
            return !in || !out || in == out;
          });
        });
    if (failed(plan))
      return failure();
    width = std::max(width, plan->getWorkspaceWidth());
    numFused += plan->getNumFused();
    plans.push_back(std::move(*plan));
  }
  workspaceWidth = width;

  auto workspaceType = MemRefType::get({ShapedType::kDynamic, width},
                                       Float32Type::get(&getContext()));
  if (width && !plans.empty()) {
    // Behind the other buffers, whose numbers stay.
    OpBuilder ops(&getContext());
    ops.setInsertionPoint(segments.front());
    BufferOp::create(ops, module.getLoc(), workspaceName, "workspace",
                     workspaceType);
  }
  for (auto [segment, plan] : llvm::zip(segments, plans))
    if (failed(SegmentEmitter(segment, plan, kernels, weights, workspaceType)
                   .run()))
      return failure();
  for (func::FuncOp segment : segments)
    segment.erase();
  return success();
}

/// The parameters of partial attention, whose heads are flattened in buffers.
FailureOr<cpu::AttentionParams> attentionOf(AttendOp op) {
  auto width = [](Value memory) {
    return cast<MemRefType>(memory.getType()).getShape().back();
  };
  cpu::AttentionParams params;
  params.queryHeads = op.getHeads();
  params.headWidth = width(op.getQuery()) / params.queryHeads;
  params.keyHeads = width(op.getKey()) / params.headWidth;
  params.scale = op.getScale().convertToDouble();
  params.window = op.getMask().getWindow();
  switch (op.getMask().getKind()) {
  case rshard::MaskKind::Full:
    params.mask = cpu::Mask::Full;
    break;
  case rshard::MaskKind::Causal:
    params.mask = cpu::Mask::Causal;
    break;
  case rshard::MaskKind::Window:
    params.mask = cpu::Mask::Window;
    // Positions are i32: a larger window is no window.
    params.window = std::min<int64_t>(params.window, INT32_MAX);
    break;
  }
  return params;
}

LogicalResult ConvertToKernels::convertDriver(cpu::KernelLibrary &kernels) {
  SmallVector<Operation *> work;
  getOperation().walk([&](Operation *op) {
    if (isa<LaunchOp, GatherOp, AppendRowsOp, AttendOp>(op))
      work.push_back(op);
  });
  for (Operation *op : work) {
    OpBuilder ops(op);
    Location loc = op->getLoc();
    auto views = [&](ValueRange memory) {
      return llvm::map_to_vector(
          memory, [&](Value v) { return asKernelView(ops, loc, v); });
    };
    auto floats = [](Value memory) {
      auto type = cast<MemRefType>(memory.getType());
      return type.getRank() == 2 && type.getElementType().isF32() &&
             !type.isDynamicDim(1);
    };
    auto callKernel = [&](func::FuncOp kernel, ArrayRef<Value> arguments) {
      func::CallOp::create(ops, loc, kernel, arguments);
    };
    if (auto launch = dyn_cast<LaunchOp>(op)) {
      SmallVector<Value> arguments{launch.getLayer(), launch.getFrame()};
      llvm::append_range(arguments, views(launch.getInputs()));
      llvm::append_range(arguments, views(launch.getOutputs()));
      func::CallOp::create(ops, loc, launch.getSegment(), TypeRange(),
                           arguments);
    } else if (auto attend = dyn_cast<AttendOp>(op)) {
      auto params = attentionOf(attend);
      if (failed(params))
        return failure();
      SmallVector<Value> arguments = views(
          {attend.getQuery(), attend.getSource(), attend.getQueryPositions(),
           attend.getKey(), attend.getValue(), attend.getKeyPositions(),
           attend.getOutput(), attend.getLse()});
      arguments.push_back(attend.getFirst());
      callKernel(kernels.attention(*params), arguments);
    } else {
      Value source = op->getOperand(0);
      if (!floats(source))
        return op->emitOpError("moves rows that are not memref<?xWxf32>");
      int64_t width = cast<MemRefType>(source.getType()).getDimSize(1);
      callKernel(isa<GatherOp>(op) ? kernels.gather(width)
                                   : kernels.append(width),
                 views(op->getOperands()));
    }
    op->erase();
  }
  return success();
}

} // namespace
