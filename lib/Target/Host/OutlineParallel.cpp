//===- OutlineParallel.cpp - threaded loops to runtime calls --------------===//

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"
#include "rshard/Target/Host/Passes.h"
#include "llvm/ADT/Twine.h"

namespace rshard {
#define GEN_PASS_DEF_OUTLINEPARALLEL
#include "rshard/Target/Host/Passes.h.inc"
} // namespace rshard

using namespace mlir;

namespace {

constexpr StringLiteral parallelFor = "rshard_parallel_for";

/// Moves one loop into a function of its own.
class Outliner {
public:
  Outliner(scf::ParallelOp loop, const LLVMTypeConverter &converter)
      : loop(loop), loc(loop.getLoc()), converter(converter),
        pointer(LLVM::LLVMPointerType::get(loop.getContext())) {}

  void run(StringRef name) {
    SmallVector<Value> counts = iterationCounts();
    collectCaptures(counts);
    func::FuncOp function = buildFunction(name, counts);
    buildCall(function, counts);
    loop.erase();
  }

private:
  /// The number of iterations per dimension, computed before the loop.
  SmallVector<Value> iterationCounts() {
    OpBuilder ops(loop);
    SmallVector<Value> counts;
    for (auto [low, high, step] : llvm::zip(
             loop.getLowerBound(), loop.getUpperBound(), loop.getStep())) {
      Value distance = ops.createOrFold<arith::SubIOp>(loc, high, low);
      counts.push_back(
          ops.createOrFold<arith::CeilDivSIOp>(loc, distance, step));
    }
    return counts;
  }

  /// What the function needs from outside: constants are cloned into it, all
  /// else travels in the context.
  void collectCaptures(ArrayRef<Value> counts) {
    SetVector<Value> used;
    getUsedValuesDefinedAbove(loop.getRegion(), used);
    used.insert(loop.getLowerBound().begin(), loop.getLowerBound().end());
    used.insert(loop.getStep().begin(), loop.getStep().end());
    used.insert(counts.begin(), counts.end());
    for (Value value : used) {
      Operation *def = value.getDefiningOp();
      if (def && def->hasTrait<OpTrait::ConstantLike>())
        constants.push_back(value);
      else
        captures.push_back(value);
    }
    SmallVector<Type> fields;
    for (Value value : captures)
      fields.push_back(converter.convertType(value.getType()));
    context = LLVM::LLVMStructType::getLiteral(loop.getContext(), fields);
  }

  Value field(OpBuilder &ops, Value base, size_t index) {
    return LLVM::GEPOp::create(
        ops, loc, pointer, context, base,
        ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(index)});
  }

  func::FuncOp buildFunction(StringRef name, ArrayRef<Value> counts) {
    auto module = loop->getParentOfType<ModuleOp>();
    OpBuilder ops = OpBuilder::atBlockEnd(module.getBody());
    Type i64 = ops.getI64Type(), index = ops.getIndexType();
    auto function = func::FuncOp::create(
        ops, loc, name, ops.getFunctionType({pointer, i64, i64}, {}));
    function.setPrivate();
    Block *entry = function.addEntryBlock();
    ops.setInsertionPointToStart(entry);

    IRMapping map;
    for (Value value : constants)
      ops.clone(*value.getDefiningOp(), map);
    for (auto [i, value] : llvm::enumerate(captures)) {
      Type type = context.getBody()[i];
      Value loaded = LLVM::LoadOp::create(ops, loc, type,
                                          field(ops, entry->getArgument(0), i));
      if (value.getType() != type)
        loaded = UnrealizedConversionCastOp::create(ops, loc, value.getType(),
                                                    loaded)
                     .getResult(0);
      map.map(value, loaded);
    }
    Value begin =
        arith::IndexCastOp::create(ops, loc, index, entry->getArgument(1));
    Value end =
        arith::IndexCastOp::create(ops, loc, index, entry->getArgument(2));
    Value one = arith::ConstantIndexOp::create(ops, loc, 1);
    auto range = scf::ForOp::create(ops, loc, begin, end, one);
    func::ReturnOp::create(ops, loc);

    ops.setInsertionPointToStart(range.getBody());
    // Row-major: the last dimension varies fastest.
    Value rest = range.getInductionVar();
    for (size_t i = counts.size(); i-- > 0;) {
      Value count = map.lookup(counts[i]), at = rest;
      if (i) {
        at = arith::RemUIOp::create(ops, loc, rest, count);
        rest = arith::DivUIOp::create(ops, loc, rest, count);
      }
      at = ops.createOrFold<arith::MulIOp>(loc, at,
                                           map.lookup(loop.getStep()[i]));
      at = ops.createOrFold<arith::AddIOp>(loc, at,
                                           map.lookup(loop.getLowerBound()[i]));
      map.map(loop.getInductionVars()[i], at);
    }
    for (Operation &op : loop.getBody()->without_terminator())
      ops.clone(op, map);

    function.walk([&](memref::AllocaOp buffer) {
      if (buffer->getNumOperands() == 0)
        buffer->moveBefore(&entry->front());
    });
    return function;
  }

  void buildCall(func::FuncOp function, ArrayRef<Value> counts) {
    OpBuilder ops(loop);
    Type i64 = ops.getI64Type();
    Value total = counts.front();
    for (Value count : counts.drop_front())
      total = ops.createOrFold<arith::MulIOp>(loc, total, count);

    auto parent = loop->getParentOfType<func::FuncOp>();
    OpBuilder top = OpBuilder::atBlockBegin(&parent.getBody().front());
    Value one =
        LLVM::ConstantOp::create(top, loc, i64, top.getI64IntegerAttr(1));
    Value memory = LLVM::AllocaOp::create(top, loc, pointer, context, one);
    for (auto [i, value] : llvm::enumerate(captures)) {
      Type type = context.getBody()[i];
      Value stored = value;
      if (value.getType() != type)
        stored = UnrealizedConversionCastOp::create(ops, loc, type, value)
                     .getResult(0);
      LLVM::StoreOp::create(ops, loc, stored, field(ops, memory, i));
    }
    // A func.constant, because llvm.mlir.addressof of a func.func does not
    // verify; the later conversions reconcile the cast.
    Value address = func::ConstantOp::create(
        ops, loc, function.getFunctionType(),
        SymbolRefAttr::get(ops.getContext(), function.getName()));
    address =
        UnrealizedConversionCastOp::create(ops, loc, Type(pointer), address)
            .getResult(0);
    Value iterations = arith::IndexCastOp::create(ops, loc, i64, total);
    func::CallOp::create(ops, loc, parallelFor, TypeRange{},
                         ValueRange{address, memory, iterations});
  }

  scf::ParallelOp loop;
  Location loc;
  const LLVMTypeConverter &converter;
  LLVM::LLVMPointerType pointer;
  SmallVector<Value> constants, captures;
  LLVM::LLVMStructType context;
};

class OutlineParallel
    : public rshard::impl::OutlineParallelBase<OutlineParallel> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<scf::ParallelOp> loops;
    WalkResult legal = module.walk<WalkOrder::PreOrder>([&](scf::ParallelOp p) {
      if (!p.getInitVals().empty()) {
        p.emitOpError("computes a reduction, whose order would depend on "
                      "threads: only loops without results can be outlined");
        return WalkResult::interrupt();
      }
      if (!p->getParentOfType<func::FuncOp>()) {
        p.emitOpError("is not in a function");
        return WalkResult::interrupt();
      }
      if (!p->getParentOfType<scf::ParallelOp>())
        loops.push_back(p);
      return WalkResult::advance();
    });
    if (legal.wasInterrupted())
      return signalPassFailure();
    if (loops.empty())
      return;

    LLVMTypeConverter converter(&getContext());
    declareParallelFor(module);
    llvm::StringMap<unsigned> numbers;
    for (scf::ParallelOp loop : loops) {
      StringRef parent = loop->getParentOfType<func::FuncOp>().getName();
      std::string name =
          (parent + "_parallel" + Twine(numbers[parent]++)).str();
      Outliner(loop, converter).run(name);
      ++numOutlined;
    }
  }

  void declareParallelFor(ModuleOp module) {
    if (module.lookupSymbol(parallelFor))
      return;
    OpBuilder ops = OpBuilder::atBlockBegin(module.getBody());
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    func::FuncOp::create(
        ops, module.getLoc(), parallelFor,
        ops.getFunctionType({pointer, pointer, ops.getI64Type()}, {}))
        .setPrivate();
  }
};

} // namespace
