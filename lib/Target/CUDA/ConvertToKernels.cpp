//===- ConvertToKernels.cpp - segments and row operations to kernels ------===//

#include "SegmentKernels.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "rshard/Target/CUDA/GenerateKernels.h"
#include "rshard/Target/CUDA/Passes.h"
#include "rshard/Target/Segment/ConvertSegments.h"
#include "rshard/Target/Segment/RowOps.h"

namespace rshard::cuda {
#define GEN_PASS_DEF_CONVERTTOKERNELS
#include "rshard/Target/CUDA/Passes.h.inc"
} // namespace rshard::cuda

using namespace mlir;
using namespace rshard;

namespace {

class ConvertToKernels
    : public cuda::impl::ConvertToKernelsBase<ConvertToKernels> {
public:
  using ConvertToKernelsBase::ConvertToKernelsBase;

private:
  void runOnOperation() override;
  FailureOr<Type> activationType();
  LogicalResult convertDriver(cuda::KernelLibrary &kernels);
  FailureOr<Value> gatheredQuery(AttendOp attend, Value frame, OpBuilder &ops);
  FailureOr<Value> queryRows(AttendOp attend, cuda::KernelLibrary &kernels,
                             Value frame, OpBuilder &ops, int64_t few);
  void declareBuffer(StringRef name, StringRef rows, MemRefType type);
  void declareScratch(ArrayRef<Operation *> work);
};

/// The parameters of partial attention, whose heads are flattened in buffers.
cuda::AttentionParams attentionOf(AttendOp op) {
  auto width = [](Value memory) {
    return cast<MemRefType>(memory.getType()).getShape().back();
  };
  auto element = [](Value memory) {
    return cast<MemRefType>(memory.getType()).getElementType();
  };
  cuda::AttentionParams params;
  params.queryHeads = op.getHeads();
  params.headSize = width(op.getQuery()) / params.queryHeads;
  params.keyHeads = width(op.getKey()) / params.headSize;
  params.element = element(op.getQuery());
  params.result = element(op.getOutput());
  params.scale = op.getScale().convertToDouble();
  if (std::optional<APFloat> cap = op.getSoftCap())
    params.softCap = cap->convertToDouble();
  return params;
}

/// Rows of heads are copied in units of 16 bytes, and shared memory holds tiles
/// of heads of 256.
LogicalResult checkHeadSize(AttendOp op) {
  constexpr int64_t unit = 8, most = 256;
  int64_t size = attentionOf(op).headSize;
  if (size % unit != 0 || size > most)
    return op.emitOpError("head size: ")
           << size << " vs a multiple of " << unit << " up to " << most
           << ", which cuda code computes with";
  return success();
}

/// The norm kernel keeps a row in the registers of a block: 64 elements in each
/// of 512 threads, which have 128 registers. More spill.
LogicalResult checkNormWidth(NormOp op) {
  constexpr int64_t most = 64 * 512;
  int64_t width = cast<ShapedType>(op.getInput().getType()).getShape().back();
  if (width > most)
    return op.emitOpError("normalises ")
           << width << " elements at once vs at most " << most
           << ", which the registers of a block hold";
  return success();
}

/// The element type of the CompNodes' rows.
FailureOr<Type> ConvertToKernels::activationType() {
  ModuleOp module = getOperation();
  if (failed(checkScheduled(module)))
    return failure();
  auto rows = module.lookupSymbol<BufferOp>("comp.x");
  if (!rows)
    return module.emitError("holds no rshard.buffer @comp.x vs a module of the "
                            "scheduled phase");
  Type element = cast<MemRefType>(rows.getType()).getElementType();
  if (!element.isBF16() && !element.isF16())
    return rows.emitError("activations are ")
           << element << " vs bf16 or f16, which cuda code computes in";
  return element;
}

void ConvertToKernels::runOnOperation() {
  ModuleOp module = getOperation();
  auto element = activationType();
  if (failed(element))
    return signalPassFailure();
  WalkResult sizes = module.walk([](Operation *op) {
    auto attend = dyn_cast<AttendOp>(op);
    auto norm = dyn_cast<NormOp>(op);
    bool good = (!attend || succeeded(checkHeadSize(attend))) &&
                (!norm || succeeded(checkNormWidth(norm)));
    return good ? WalkResult::advance() : WalkResult::interrupt();
  });
  if (sizes.wasInterrupted())
    return signalPassFailure();
  const cuda::LinearSchedule *schedule = nullptr;
  if (!linearSchedule.empty()) {
    schedule = cuda::findLinearSchedule(linearSchedule);
    if (!schedule || !schedule->isForManyRows()) {
      auto diag = emitError(module.getLoc(), "linear-schedule is '")
                  << linearSchedule << "' vs ";
      llvm::interleave(
          llvm::make_filter_range(
              cuda::linearSchedules(),
              [](const auto &one) { return one.isForManyRows(); }),
          diag, [&](const auto &one) { diag << one.name; }, " or ");
      return signalPassFailure();
    }
  }
  cuda::KernelLibrary kernels(module, schedule);
  WeightSlots weights(module);
  cuda::SegmentKernels emitter(weights, kernels, module);
  auto counts = convertSegments(module, emitter, *element);
  if (failed(counts) || failed(convertDriver(kernels)))
    return signalPassFailure();
  if (emitter.needsFactors()) {
    declareBuffer(cuda::squaresName, "workspace", emitter.squaresType());
    declareBuffer(cuda::factorsName, "workspace", emitter.factorsType());
  }
  weights.record();
  numKernels =
      llvm::count_if(cuda::getKernels(module).getOps<LLVM::LLVMFuncOp>(),
                     [](LLVM::LLVMFuncOp function) {
                       return function->hasAttr(kernelAttrName);
                     });
  numFused = counts->fused;
  workspaceWidth = counts->workspaceWidth;
}

/// The frame of the function that `op` is in: the driver has one.
FailureOr<Value> frameOf(Operation *op) {
  if (auto function = op->getParentOfType<func::FuncOp>())
    for (BlockArgument argument : function.getArguments())
      if (isa<FrameType>(argument.getType()))
        return Value(argument);
  return op->emitOpError(
      "stands elsewhere vs in a function that takes a !rshard.frame");
}

/// Declares a buffer behind the others, whose numbers stay, unless there is one
/// of this name.
void ConvertToKernels::declareBuffer(StringRef name, StringRef rows,
                                     MemRefType type) {
  ModuleOp module = getOperation();
  if (module.lookupSymbol(name))
    return;
  BufferOp last;
  for (auto buffer : module.getOps<BufferOp>())
    last = buffer;
  OpBuilder ops(&getContext());
  ops.setInsertionPointAfter(last);
  BufferOp::create(ops, module.getLoc(), name, rows, type);
}

constexpr StringLiteral partialsName = "attention.partials";
constexpr StringLiteral countersName = "attention.counters";

/// What attention works with, large enough for every shape: launches of a rank
/// follow one another.
void ConvertToKernels::declareScratch(ArrayRef<Operation *> work) {
  cuda::AttentionScratch most{1, 1};
  bool any = false;
  for (Operation *op : work)
    if (auto attend = dyn_cast<AttendOp>(op)) {
      cuda::AttentionScratch scratch =
          cuda::attentionScratch(attentionOf(attend));
      most.partials = std::max(most.partials, scratch.partials);
      most.counters = std::max(most.counters, scratch.counters);
      any = true;
    }
  if (!any)
    return;
  Builder types(&getContext());
  declareBuffer(partialsName, "rank",
                MemRefType::get({ShapedType::kDynamic, most.partials},
                                types.getF32Type()));
  declareBuffer(countersName, "rank",
                MemRefType::get({ShapedType::kDynamic, most.counters},
                                types.getI32Type()));
}

/// The rows for gathered queries that belong to the results of `attend`: the
/// same part of a buffer of the same capacity class.
FailureOr<Value> ConvertToKernels::gatheredQuery(AttendOp attend, Value frame,
                                                 OpBuilder &ops) {
  ModuleOp module = getOperation();
  Location loc = attend.getLoc();
  auto part = attend.getOutput().getDefiningOp<memref::SubViewOp>();
  Value whole = part ? part.getSource() : attend.getOutput();
  auto get = whole.getDefiningOp<GetBufferOp>();
  auto results =
      get ? module.lookupSymbol<BufferOp>(get.getBuffer()) : BufferOp();
  if (!results)
    return attend.emitOpError("writes rows of unknown storage vs a buffer of "
                              "the module or a part of one");
  auto width = cast<MemRefType>(attend.getQuery().getType()).getDimSize(1);
  auto type = MemRefType::get(
      {ShapedType::kDynamic, width},
      cast<MemRefType>(attend.getQuery().getType()).getElementType());
  std::string name = ("gathered." + results.getSymName()).str();
  declareBuffer(name, results.getRows(), type);
  Value buffer = GetBufferOp::create(ops, loc, type, frame, name);
  if (!part)
    return buffer;
  SmallVector<OpFoldResult> offsets = part.getMixedOffsets(),
                            sizes = part.getMixedSizes(),
                            strides = part.getMixedStrides();
  sizes[1] = ops.getIndexAttr(width);
  return Value(
      memref::SubViewOp::create(ops, loc, buffer, offsets, sizes, strides));
}

/// The rows of `attend` one behind the other, for kernels of more than `few`
/// rows; the others read them where they are. They are in order, or the first
/// cell of a grid row gathers them for all of its cells, into a buffer that has
/// the layout of the row's results.
FailureOr<Value> ConvertToKernels::queryRows(AttendOp attend,
                                             cuda::KernelLibrary &kernels,
                                             Value frame, OpBuilder &ops,
                                             int64_t few) {
  Location loc = attend.getLoc();
  auto type = cast<MemRefType>(attend.getQuery().getType());
  if (attend.getInOrder()) {
    OpFoldResult zero = ops.getIndexAttr(0), one = ops.getIndexAttr(1),
                 width = ops.getIndexAttr(type.getDimSize(1));
    Value count = memref::DimOp::create(ops, loc, attend.getSource(), 0);
    return Value(memref::SubViewOp::create(ops, loc, attend.getQuery(),
                                           ArrayRef<OpFoldResult>{zero, zero},
                                           ArrayRef<OpFoldResult>{count, width},
                                           ArrayRef<OpFoldResult>{one, one}));
  }
  auto query = gatheredQuery(attend, frame, ops);
  if (failed(query))
    return failure();
  Value rows = memref::DimOp::create(ops, loc, *query, 0);
  Value most = arith::ConstantIndexOp::create(ops, loc, few);
  Value many =
      arith::CmpIOp::create(ops, loc, arith::CmpIPredicate::ugt, rows, most);
  Value gathers = arith::AndIOp::create(ops, loc, attend.getFirst(), many);
  scf::IfOp::create(ops, loc, gathers, [&](OpBuilder &inner, Location) {
    RunOp::create(inner, loc,
                  kernels.gather(type.getDimSize(1), type.getElementType()),
                  frame,
                  ValueRange{asKernelView(inner, loc, attend.getQuery()),
                             asKernelView(inner, loc, attend.getSource()),
                             asKernelView(inner, loc, *query)});
    scf::YieldOp::create(inner, loc);
  });
  return query;
}

/// Whether two appends may run at the same time: neither writes what the other
/// one reads or writes.
bool areApart(AppendRowsOp a, AppendRowsOp b) {
  StringAttr from = storageOf(a.getRows()), to = storageOf(a.getTarget());
  StringAttr otherFrom = storageOf(b.getRows()),
             otherTo = storageOf(b.getTarget());
  return from && to && otherFrom && otherTo && to != otherTo &&
         to != otherFrom && from != otherTo;
}

/// The append behind `append` that copies the same rows of another pool, such
/// as values behind keys; null if there is none, or if something that may need
/// the rows stands between them.
AppendRowsOp partnerOf(AppendRowsOp append) {
  for (Operation *next = append->getNextNode(); next;
       next = next->getNextNode()) {
    auto other = dyn_cast<AppendRowsOp>(next);
    if (other && other.getSource() == append.getSource() &&
        other.getRow() == append.getRow() &&
        other.getRows().getType() == append.getRows().getType() &&
        areApart(append, other))
      return other;
    if (!isMemoryEffectFree(next))
      break;
  }
  return {};
}

/// Gathers, appends and attention.
LogicalResult ConvertToKernels::convertDriver(cuda::KernelLibrary &kernels) {
  Builder types(&getContext());
  SmallVector<Type> computed{types.getBF16Type(), types.getF16Type()},
      moved{types.getF32Type()};
  llvm::append_range(moved, computed);
  SmallVector<Operation *> work = collectRowOps(getOperation());
  for (Operation *op : work)
    if (failed(checkRowElement(op, op->getOperand(0),
                               isa<AttendOp>(op) ? computed : moved)))
      return failure();
  declareScratch(work);
  llvm::DenseSet<Operation *> paired; // with an append before
  for (Operation *op : work) {
    if (paired.contains(op)) {
      op->erase();
      continue;
    }
    OpBuilder ops(op);
    Location loc = op->getLoc();
    auto found = frameOf(op);
    if (failed(found))
      return failure();
    Value frame = *found;
    auto bufferOf = [&](StringRef name) -> Value {
      auto buffer = getOperation().lookupSymbol<BufferOp>(name);
      return GetBufferOp::create(ops, loc, buffer.getType(), frame, name);
    };
    auto views = [&](ValueRange memory) {
      return llvm::map_to_vector(
          memory, [&](Value v) { return asKernelView(ops, loc, v); });
    };
    if (auto attend = dyn_cast<AttendOp>(op)) {
      cuda::AttentionParams params = attentionOf(attend);
      auto variants = kernels.attention(params);
      auto rows = queryRows(attend, kernels, frame, ops,
                            variants[variants.size() - 2].rows);
      if (failed(rows))
        return failure();
      Value query = *rows;
      SmallVector<Value> arguments = views(
          {query, attend.getKey(), attend.getValue(), attend.getFirstKeys(),
           attend.getLastKeys(), attend.getOutput(), attend.getLse(),
           bufferOf(partialsName), bufferOf(countersName)});
      Value one = arith::ConstantIntOp::create(ops, loc, ops.getI32Type(), 1);
      Value first =
          arith::ExtUIOp::create(ops, loc, ops.getI32Type(), attend.getFirst());
      arguments.push_back(arith::SubIOp::create(ops, loc, one, first));
      llvm::append_range(arguments,
                         views({attend.getQuery(), attend.getSource()}));
      cuda::emitRun(ops, loc, frame, variants, query, arguments);
    } else if (auto append = dyn_cast<AppendRowsOp>(op)) {
      SmallVector<Value> pools{append.getRows()}, caches{append.getTarget()};
      if (AppendRowsOp partner = partnerOf(append)) {
        pools.push_back(partner.getRows());
        caches.push_back(partner.getTarget());
        paired.insert(partner);
        ops.setInsertionPoint(partner);
      }
      SmallVector<Value> arguments = views(pools);
      arguments.append(views(append.getSource()));
      arguments.append(views(caches));
      arguments.append(views(append.getRow()));
      auto type = cast<MemRefType>(append.getRows().getType());
      RunOp::create(ops, loc,
                    kernels.append(type.getDimSize(1), type.getElementType(),
                                   static_cast<int64_t>(pools.size())),
                    frame, arguments);
    } else {
      auto type = cast<MemRefType>(op->getOperand(0).getType());
      RunOp::create(ops, loc,
                    kernels.gather(type.getDimSize(1), type.getElementType()),
                    frame, views(op->getOperands()));
    }
    op->erase();
  }
  return success();
}

} // namespace
