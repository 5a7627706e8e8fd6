//===- FrameToLLVM.cpp - the frame as the runtime's structures -----------===//
//
// The structures are those of the runtime's ABI.h.
//
//===----------------------------------------------------------------------===//

#include "RShard/RShard.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "rshard/Conversion/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace rshard {
#define GEN_PASS_DEF_CONVERTFRAMETOLLVM
#include "rshard/Conversion/Passes.h.inc"
} // namespace rshard

using namespace mlir;
using namespace rshard;

namespace {

constexpr StringLiteral entryName = "rshard_step";
constexpr StringLiteral exchangeName = "rshard_exchange";
constexpr StringLiteral runName = "rshard_run";

/// Fields of rshard_frame.
enum FrameField { Buffers, Tables, Weights, Comm, Stream };

class FrameConverter {
public:
  explicit FrameConverter(ModuleOp module)
      : module(module), converter(module.getContext()),
        pointer(LLVM::LLVMPointerType::get(module.getContext())),
        i64(IntegerType::get(module.getContext(), 64)) {
    // rshard_buffer and rshard_table have one layout.
    view =
        LLVM::LLVMStructType::getLiteral(module.getContext(), {pointer, i64});
    for (auto [i, op] : llvm::enumerate(module.getOps<BufferOp>()))
      buffers[op.getSymName()] = static_cast<int64_t>(i);
    for (auto [i, op] : llvm::enumerate(module.getOps<TableOp>()))
      tables[op.getSymName()] = static_cast<int64_t>(i);
    int32_t number = 0;
    module.walk([&](Operation *op) {
      if (op->hasAttr(kernelAttrName))
        kernels[op] = number++;
    });
  }

  LogicalResult run();

private:
  void convertFunction(func::FuncOp function);
  LogicalResult convertOp(Operation *op);
  Value load(OpBuilder &ops, Location loc, Type type, Type base, Value from,
             ArrayRef<LLVM::GEPArg> at);
  Value frameField(OpBuilder &ops, Location loc, Value frame, FrameField field);
  Value readView(OpBuilder &ops, Location loc, Value frame, FrameField list,
                 int64_t index, MemRefType type);
  Value readWeight(OpBuilder &ops, GetWeightOp op);
  Value readKind(OpBuilder &ops, LayerKindOp op);
  void callExchange(OpBuilder &ops, ExchangeOp op);
  void callKernel(OpBuilder &ops, RunOp op);
  Value argumentsOf(RunOp op);
  void declare(StringRef name, TypeRange arguments);
  Value castTo(OpBuilder &ops, Location loc, Value value, Type type) {
    return UnrealizedConversionCastOp::create(ops, loc, type, value)
        .getResult(0);
  }

  ModuleOp module;
  LLVMTypeConverter converter;
  Type pointer, i64;
  LLVM::LLVMStructType view;
  llvm::StringMap<int64_t> buffers, tables;
  /// The numbers of a device's kernels, in the order of the module.
  DenseMap<Operation *, int32_t> kernels;
  SymbolTableCollection symbols;
  /// Per function, room for the arguments of any one of its runs.
  DenseMap<Operation *, Value> argumentLists;
  unsigned numKinds = 0;
};

LogicalResult FrameConverter::run() {
  for (auto function : module.getOps<func::FuncOp>())
    convertFunction(function);
  SmallVector<Operation *> work;
  module.walk([&](Operation *op) {
    if (isa<GetBufferOp, GetTableOp, GetWeightOp, GetCommOp, ExchangeOp,
            LayerKindOp, RunOp>(op))
      work.push_back(op);
  });
  for (Operation *op : work)
    if (failed(convertOp(op)))
      return failure();
  // Declarations and kernels of a device: everything that the program needs
  // from them is in the code or has been written to the manifest.
  for (Operation &op : llvm::make_early_inc_range(*module.getBody()))
    if (isa<RShardDialect>(op.getDialect()) || isa<gpu::GPUModuleOp>(op))
      op.erase();
  SmallVector<StringAttr> facts;
  for (NamedAttribute attribute : module->getDiscardableAttrs())
    if (isa_and_nonnull<RShardDialect>(attribute.getNameDialect()))
      facts.push_back(attribute.getName());
  for (StringAttr name : facts)
    module->removeAttr(name);
  return success();
}

/// Gives every function a pointer for a frame; calls follow by their operands.
void FrameConverter::convertFunction(func::FuncOp function) {
  auto convert = [&](Type type) {
    return isa<FrameType>(type) ? pointer : type;
  };
  FunctionType type = function.getFunctionType();
  function.setFunctionType(FunctionType::get(
      function.getContext(), llvm::map_to_vector(type.getInputs(), convert),
      type.getResults()));
  if (!function.isExternal())
    for (BlockArgument argument : function.getArguments())
      argument.setType(convert(argument.getType()));
  bool entry = function.isPublic() && function.getName() == driverName;
  if (entry)
    function.setName(entryName);
  else
    function.setPrivate();
}

LogicalResult FrameConverter::convertOp(Operation *op) {
  OpBuilder ops(op);
  Location loc = op->getLoc();
  auto view = [&](Value frame, FrameField list,
                  const llvm::StringMap<int64_t> &numbers,
                  FlatSymbolRefAttr name) -> LogicalResult {
    auto number = numbers.find(name.getValue());
    if (number == numbers.end())
      return op->emitOpError("reads ") << name << ", which is not declared";
    auto type = cast<MemRefType>(op->getResult(0).getType());
    op->getResult(0).replaceAllUsesWith(
        readView(ops, loc, frame, list, number->second, type));
    return success();
  };
  LogicalResult result =
      llvm::TypeSwitch<Operation *, LogicalResult>(op)
          .Case([&](GetBufferOp get) {
            return view(get.getFrame(), Buffers, buffers, get.getBufferAttr());
          })
          .Case([&](GetTableOp get) {
            return view(get.getFrame(), Tables, tables, get.getTableAttr());
          })
          .Case([&](GetWeightOp get) {
            get.getResult().replaceAllUsesWith(readWeight(ops, get));
            return success();
          })
          .Case([&](GetCommOp get) {
            for (auto [value, field] :
                 {std::pair(get.getComm(), Comm), {get.getStream(), Stream}})
              value.replaceAllUsesWith(
                  castTo(ops, loc, frameField(ops, loc, get.getFrame(), field),
                         value.getType()));
            return success();
          })
          .Case([&](ExchangeOp exchange) {
            callExchange(ops, exchange);
            return success();
          })
          .Case([&](RunOp run) {
            callKernel(ops, run);
            return success();
          })
          .Case([&](LayerKindOp kind) {
            kind.getResult().replaceAllUsesWith(readKind(ops, kind));
            return success();
          });
  if (failed(result))
    return failure();
  op->erase();
  return success();
}

Value FrameConverter::load(OpBuilder &ops, Location loc, Type type, Type base,
                           Value from, ArrayRef<LLVM::GEPArg> at) {
  Value address = LLVM::GEPOp::create(ops, loc, pointer, base, from, at);
  return LLVM::LoadOp::create(ops, loc, type, address);
}

Value FrameConverter::frameField(OpBuilder &ops, Location loc, Value frame,
                                 FrameField field) {
  return load(ops, loc, pointer, pointer, frame,
              LLVM::GEPArg(static_cast<int32_t>(field)));
}

/// Element `index` of a list of rshard_buffer or rshard_table.
Value FrameConverter::readView(OpBuilder &ops, Location loc, Value frame,
                               FrameField list, int64_t index,
                               MemRefType type) {
  Value base = frameField(ops, loc, frame, list);
  auto at = static_cast<int32_t>(index);
  Value data = load(ops, loc, pointer, view, base, {at, 0});
  Value rows = load(ops, loc, i64, view, base, {at, 1});
  auto descriptor =
      MemRefDescriptor::poison(ops, loc, converter.convertType(type));
  descriptor.setAllocatedPtr(ops, loc, data);
  descriptor.setAlignedPtr(ops, loc, data);
  descriptor.setConstantOffset(ops, loc, 0);
  descriptor.setSize(ops, loc, 0, rows);
  if (type.getRank() == 2) {
    descriptor.setConstantSize(ops, loc, 1, type.getDimSize(1));
    descriptor.setConstantStride(ops, loc, 0, type.getDimSize(1));
  }
  descriptor.setConstantStride(ops, loc, type.getRank() - 1, 1);
  return castTo(ops, loc, descriptor, type);
}

Value FrameConverter::readWeight(OpBuilder &ops, GetWeightOp op) {
  Location loc = op.getLoc();
  Value list = frameField(ops, loc, op.getFrame(), Weights);
  Value slot = LLVM::ConstantOp::create(ops, loc, i64, op.getSlotAttr());
  if (op.getLayer()) {
    Value layer = arith::IndexCastOp::create(ops, loc, i64, op.getLayer());
    slot = LLVM::AddOp::create(ops, loc, slot, layer);
  }
  Value data = load(ops, loc, pointer, pointer, list, LLVM::GEPArg(slot));
  MemRefDescriptor descriptor = MemRefDescriptor::fromStaticShape(
      ops, loc, converter, cast<MemRefType>(op.getResult().getType()), data);
  return castTo(ops, loc, descriptor, op.getResult().getType());
}

Value FrameConverter::readKind(OpBuilder &ops, LayerKindOp op) {
  Location loc = op.getLoc();
  Type i32 = ops.getI32Type();
  auto type = LLVM::LLVMArrayType::get(i32, op.getKinds().size());
  std::string name = ("layer_kinds_" + Twine(numKinds++)).str();
  OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
  LLVM::GlobalOp::create(top, loc, type, /*isConstant=*/true,
                         LLVM::Linkage::Internal, name,
                         top.getI32TensorAttr(op.getKinds()));
  Value base = LLVM::AddressOfOp::create(ops, loc, pointer, name);
  Value layer = arith::IndexCastOp::create(ops, loc, i64, op.getLayer());
  Value kind = load(ops, loc, i32, i32, base, LLVM::GEPArg(layer));
  return arith::IndexCastOp::create(ops, loc, ops.getIndexType(), kind);
}

void FrameConverter::declare(StringRef name, TypeRange arguments) {
  if (module.lookupSymbol(name))
    return;
  OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
  func::FuncOp::create(top, module.getLoc(), name,
                       top.getFunctionType(arguments, {}))
      .setPrivate();
}

void FrameConverter::callExchange(OpBuilder &ops, ExchangeOp op) {
  Location loc = op.getLoc();
  Type i32 = ops.getI32Type();
  declare(exchangeName, {pointer, i32, i32});
  Value number = arith::ConstantOp::create(ops, loc, op.getExchangeAttr());
  Value layer = arith::IndexCastOp::create(ops, loc, i32, op.getLayer());
  func::CallOp::create(ops, loc, exchangeName, TypeRange(),
                       ValueRange{op.getFrame(), number, layer});
}

/// The list of a function, at its top: the runtime has copied the arguments
/// when a call returns.
Value FrameConverter::argumentsOf(RunOp op) {
  auto function = op->getParentOfType<func::FuncOp>();
  Value &list = argumentLists[function];
  if (!list) {
    size_t most = 0;
    function.walk([&](RunOp run) {
      most = std::max<size_t>(most, run.getArguments().size());
    });
    OpBuilder top = OpBuilder::atBlockBegin(&function.getBody().front());
    Value count = LLVM::ConstantOp::create(
        top, function.getLoc(), i64,
        top.getI64IntegerAttr(static_cast<int64_t>(most)));
    list = LLVM::AllocaOp::create(top, function.getLoc(), pointer, view, count);
  }
  return list;
}

/// Arguments are rshard_argument: the address and rows of a view, or no address
/// and an integer.
void FrameConverter::callKernel(OpBuilder &ops, RunOp op) {
  Location loc = op.getLoc();
  Type i32 = ops.getI32Type();
  declare(runName, {pointer, i32, pointer, i32});
  Value list = argumentsOf(op);
  auto store = [&](Value value, int32_t argument, int32_t field) {
    Value to = LLVM::GEPOp::create(ops, loc, pointer, view, list,
                                   ArrayRef<LLVM::GEPArg>{argument, field});
    LLVM::StoreOp::create(ops, loc, value, to);
  };
  for (auto [i, argument] : llvm::enumerate(op.getArguments())) {
    auto number = static_cast<int32_t>(i);
    Type type = argument.getType();
    if (!isa<MemRefType>(type)) {
      Value wide =
          type.isIndex()
              ? Value(arith::IndexCastOp::create(ops, loc, i64, argument))
          : type == i64
              ? argument
              : Value(arith::ExtSIOp::create(ops, loc, i64, argument));
      store(LLVM::ZeroOp::create(ops, loc, pointer), number, 0);
      store(wide, number, 1);
      continue;
    }
    auto parts = memref::ExtractStridedMetadataOp::create(ops, loc, argument);
    Value base =
        memref::ExtractAlignedPointerAsIndexOp::create(ops, loc, argument);
    int64_t bytes =
        cast<MemRefType>(type).getElementType().getIntOrFloatBitWidth() / 8;
    Value size = arith::ConstantIndexOp::create(ops, loc, bytes);
    Value offset = arith::MulIOp::create(ops, loc, parts.getOffset(), size);
    Value address = arith::AddIOp::create(ops, loc, base, offset);
    Value wide = arith::IndexCastOp::create(ops, loc, i64, address);
    store(LLVM::IntToPtrOp::create(ops, loc, pointer, ValueRange{wide}), number,
          0);
    store(arith::IndexCastOp::create(ops, loc, i64, parts.getSizes().front()),
          number, 1);
  }
  Operation *kernel = symbols.lookupNearestSymbolFrom(op, op.getKernelAttr());
  Value number = arith::ConstantOp::create(
      ops, loc, ops.getI32IntegerAttr(kernels.lookup(kernel)));
  Value count = arith::ConstantOp::create(
      ops, loc,
      ops.getI32IntegerAttr(static_cast<int32_t>(op.getArguments().size())));
  func::CallOp::create(ops, loc, runName, TypeRange(),
                       ValueRange{op.getFrame(), number, list, count});
}

class ConvertFrameToLLVM
    : public rshard::impl::ConvertFrameToLLVMBase<ConvertFrameToLLVM> {
  void runOnOperation() override {
    if (failed(FrameConverter(getOperation()).run()))
      signalPassFailure();
  }
};

} // namespace
