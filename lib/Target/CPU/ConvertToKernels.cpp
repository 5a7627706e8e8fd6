//===- ConvertToKernels.cpp - segments and row operations to kernels ------===//

#include "SegmentEmitter.h"
#include "WeightRegistry.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "rshard/Target/CPU/Passes.h"
#include "llvm/ADT/SetVector.h"

namespace rshard::cpu {
#define GEN_PASS_DEF_CONVERTTOKERNELS
#include "rshard/Target/CPU/Passes.h.inc"
} // namespace rshard::cpu

using namespace mlir;
using namespace rshard;

namespace {

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
    BufferOp::create(ops, module.getLoc(), cpu::workspaceName, "workspace",
                     workspaceType);
  }
  for (auto [segment, plan] : llvm::zip(segments, plans))
    if (failed(
            cpu::emitSegment(segment, plan, kernels, weights, workspaceType)))
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
          memory, [&](Value v) { return cpu::asKernelView(ops, loc, v); });
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
