//===- ConvertToKernels.cpp - segments and row operations to kernels ------===//

#include "SegmentKernels.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Target/CPU/GenerateKernels.h"
#include "rshard/Target/CPU/Passes.h"
#include "rshard/Target/Segment/ConvertSegments.h"
#include "rshard/Target/Segment/RowOps.h"
#include "rshard/runtime/ABI.h"

namespace rshard::cpu {
#define GEN_PASS_DEF_CONVERTTOKERNELS
#include "rshard/Target/CPU/Passes.h.inc"
} // namespace rshard::cpu

using namespace mlir;
using namespace rshard;

namespace {

class ConvertToKernels
    : public cpu::impl::ConvertToKernelsBase<ConvertToKernels> {
public:
  using ConvertToKernelsBase::ConvertToKernelsBase;

private:
  void runOnOperation() override;
  LogicalResult checkElements();
  LogicalResult convertDriver(cpu::KernelLibrary &kernels);
};

void ConvertToKernels::runOnOperation() {
  ModuleOp module = getOperation();
  auto host = HostCpu::get(cpu, [&] { return module.emitError(); });
  if (failed(host) || failed(checkElements()) || failed(checkScheduled(module)))
    return signalPassFailure();
  cpu::TargetShape shape(*host);
  cpu::KernelLibrary kernels(module, shape);
  WeightSlots weights(module);
  cpu::SegmentKernels emitter(weights, kernels, shape);
  int64_t functions = llvm::range_size(module.getOps<func::FuncOp>());
  auto counts =
      convertSegments(module, emitter, Float32Type::get(&getContext()));
  if (failed(counts) || failed(convertDriver(kernels)))
    return signalPassFailure();
  weights.record();
  numKernels = llvm::range_size(module.getOps<func::FuncOp>()) - functions;
  numFused = counts->fused;
  workspaceWidth = counts->workspaceWidth;
}

LogicalResult ConvertToKernels::checkElements() {
  for (auto placement : getOperation().getOps<PlacementOp>())
    if (failed(cpu::checkRowTypes(getRowTypes(placement),
                                  [&] { return placement.emitError(); })))
      return failure();
  // A module without a plan says it in its buffers.
  for (auto buffer : getOperation().getOps<BufferOp>())
    if (Type element = cast<MemRefType>(buffer.getType()).getElementType();
        isa<FloatType>(element) && !element.isF32())
      return buffer.emitOpError("holds rows of ")
             << element << " vs f32, which cpu code computes in";
  return success();
}

/// The parameters of partial attention, whose heads are flattened in buffers.
cpu::AttentionParams attentionOf(AttendOp op) {
  auto width = [](Value memory) {
    return cast<MemRefType>(memory.getType()).getShape().back();
  };
  cpu::AttentionParams params;
  params.queryHeads = op.getHeads();
  params.headWidth = width(op.getQuery()) / params.queryHeads;
  params.keyHeads = width(op.getKey()) / params.headWidth;
  params.scale = op.getScale().convertToDouble();
  if (std::optional<APFloat> cap = op.getSoftCap())
    params.softCap = cap->convertToDouble();
  return params;
}

/// What generated code needs of a stack beside the tiles of one kernel: the
/// frames of the driver, of a segment and of a loop's body.
constexpr int64_t frameBytes = int64_t(64) << 10;

/// The largest stack that one task of a kernel takes for its tiles, in bytes.
int64_t tileBytes(func::FuncOp kernel) {
  int64_t most = 0;
  kernel.walk([&](scf::ParallelOp task) {
    int64_t bytes = 0;
    task.walk([&](memref::AllocaOp tile) {
      MemRefType type = tile.getType();
      bytes += type.getNumElements() * type.getElementTypeBitWidth() / 8;
    });
    most = std::max(most, bytes);
  });
  return most;
}

LogicalResult checkStack(AttendOp attend, func::FuncOp kernel,
                         const cpu::AttentionParams &params) {
  int64_t bytes = tileBytes(kernel), bound = RSHARD_STACK_BYTES - frameBytes;
  if (bytes <= bound)
    return success();
  return attend.emitOpError("heads of ")
         << params.headWidth << " elements need tiles of " << bytes
         << " bytes vs at most " << bound << " on the stack of a step";
}

LogicalResult ConvertToKernels::convertDriver(cpu::KernelLibrary &kernels) {
  Type element = Float32Type::get(&getContext());
  for (Operation *op : collectRowOps(getOperation())) {
    OpBuilder ops(op);
    Location loc = op->getLoc();
    auto views = [&](ValueRange memory) {
      return llvm::map_to_vector(
          memory, [&](Value v) { return asKernelView(ops, loc, v); });
    };
    auto callKernel = [&](func::FuncOp kernel, ArrayRef<Value> arguments) {
      func::CallOp::create(ops, loc, kernel, arguments);
    };
    if (failed(checkRowElement(op, op->getOperand(0), element)))
      return failure();
    if (auto attend = dyn_cast<AttendOp>(op)) {
      cpu::AttentionParams params = attentionOf(attend);
      SmallVector<Value> arguments =
          views({attend.getQuery(), attend.getSource(), attend.getKey(),
                 attend.getValue(), attend.getFirstKeys(), attend.getLastKeys(),
                 attend.getOutput(), attend.getLse()});
      arguments.push_back(attend.getFirst());
      func::FuncOp kernel = kernels.attention(params);
      if (failed(checkStack(attend, kernel, params)))
        return failure();
      callKernel(kernel, arguments);
    } else {
      Value source = op->getOperand(0);
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
