//===- DeviceBuilder.cpp - typed expressions of one GPU thread ------------===//

#include "DeviceBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace rshard::cuda {

//===----------------------------------------------------------------------===//
// Constants, places, conversions
//===----------------------------------------------------------------------===//

Int DeviceBuilder::integer(int64_t value) {
  return {*this, arith::ConstantIntOp::create(ops, loc, i32(), value)};
}
Long DeviceBuilder::longInteger(int64_t value) {
  return {*this, arith::ConstantIntOp::create(ops, loc, i64(), value)};
}
Float DeviceBuilder::constant(double value) {
  return {*this,
          arith::ConstantOp::create(ops, loc, ops.getF32FloatAttr(value))};
}
Bool DeviceBuilder::boolean(bool value) {
  return {*this,
          arith::ConstantIntOp::create(ops, loc, ops.getI1Type(), value)};
}
Float DeviceBuilder::undefined() {
  return {*this, LLVM::UndefOp::create(ops, loc, f32())};
}

Int DeviceBuilder::thread() {
  return {*this, NVVM::ThreadIdXOp::create(ops, loc, i32())};
}
Int DeviceBuilder::lane() { return thread() & 31; }
Int DeviceBuilder::warp() { return uniform(thread() >> 5); }
Int DeviceBuilder::block() {
  return {*this, NVVM::BlockIdXOp::create(ops, loc, i32())};
}
Int DeviceBuilder::blocks() {
  return {*this, NVVM::GridDimXOp::create(ops, loc, i32())};
}

Long DeviceBuilder::widen(Int value) {
  return {*this, arith::ExtUIOp::create(ops, loc, i64(), value)};
}
Int DeviceBuilder::widen(Bool value) {
  return {*this, arith::ExtUIOp::create(ops, loc, i32(), value)};
}
Int DeviceBuilder::truncate(Long value) {
  return {*this, arith::TruncIOp::create(ops, loc, i32(), value)};
}
Float DeviceBuilder::toFloat(Int value) {
  return {*this, arith::SIToFPOp::create(ops, loc, f32(), value)};
}
Float DeviceBuilder::convert(Value value) {
  return {*this, arith::ExtFOp::create(ops, loc, f32(), value)};
}
Value DeviceBuilder::convert(Float value, Type element) {
  return arith::TruncFOp::create(ops, loc, element, value);
}
Float DeviceBuilder::asBits(Int value) {
  return {*this, arith::BitcastOp::create(ops, loc, f32(), value)};
}
Int DeviceBuilder::asBits(Float value) {
  return {*this, arith::BitcastOp::create(ops, loc, i32(), value)};
}

Int DeviceBuilder::pack(Float low, Float high, Type element) {
  auto type = VectorType::get({2}, element);
  Value pair;
  if (element.isBF16())
    pair = NVVM::ConvertF32x2ToBF16x2Op::create(
        ops, loc, type, high, low, Value(), NVVM::FPRoundingMode::RN);
  else
    pair = NVVM::ConvertF32x2ToF16x2Op::create(
        ops, loc, type, high, low, Value(), NVVM::FPRoundingMode::RN);
  return {*this, LLVM::BitcastOp::create(ops, loc, i32(), pair)};
}

std::pair<Float, Float> DeviceBuilder::unpack(Int packed, Type element) {
  if (element.isBF16()) // the upper half of an f32
    return {asBits(packed << 16), asBits(packed & -65536)};
  Value pair =
      LLVM::BitcastOp::create(ops, loc, VectorType::get({2}, element), packed);
  auto half = [&](int64_t index) -> Float {
    return {*this,
            arith::ExtFOp::create(ops, loc, f32(), extract(pair, index))};
  };
  return {half(0), half(1)};
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

template <typename Op, Kind K> static Typed<K> binary(Typed<K> a, Typed<K> b) {
  DeviceBuilder &kernel = a.builder();
  return {kernel, Op::create(kernel.ops, kernel.loc, a, b)};
}
static Bool compare(arith::CmpIPredicate predicate, Int a, Int b) {
  DeviceBuilder &kernel = a.builder();
  return {kernel,
          arith::CmpIOp::create(kernel.ops, kernel.loc, predicate, a, b)};
}
static Bool compare(arith::CmpFPredicate predicate, Float a, Float b) {
  DeviceBuilder &kernel = a.builder();
  return {kernel,
          arith::CmpFOp::create(kernel.ops, kernel.loc, predicate, a, b)};
}
static Int like(Int a, int64_t b) { return a.builder().integer(b); }
static Long like(Long a, int64_t b) { return a.builder().longInteger(b); }

Int operator+(Int a, Int b) { return binary<arith::AddIOp>(a, b); }
Int operator-(Int a, Int b) { return binary<arith::SubIOp>(a, b); }
Int operator*(Int a, Int b) { return binary<arith::MulIOp>(a, b); }
Int operator/(Int a, Int b) { return binary<arith::DivUIOp>(a, b); }
Int operator%(Int a, Int b) { return binary<arith::RemUIOp>(a, b); }
Int operator&(Int a, Int b) { return binary<arith::AndIOp>(a, b); }
Int operator|(Int a, Int b) { return binary<arith::OrIOp>(a, b); }
Int operator^(Int a, Int b) { return binary<arith::XOrIOp>(a, b); }
Int operator+(Int a, int64_t b) { return a + like(a, b); }
Int operator-(Int a, int64_t b) { return a - like(a, b); }
Int operator*(Int a, int64_t b) { return a * like(a, b); }
Int operator/(Int a, int64_t b) { return a / like(a, b); }
Int operator%(Int a, int64_t b) { return a % like(a, b); }
Int operator&(Int a, int64_t b) { return a & like(a, b); }
Int operator^(Int a, int64_t b) { return a ^ like(a, b); }
Int operator<<(Int a, Int b) { return binary<arith::ShLIOp>(a, b); }
Int operator<<(Int a, int64_t b) {
  return binary<arith::ShLIOp>(a, like(a, b));
}
Int operator>>(Int a, int64_t b) {
  return binary<arith::ShRUIOp>(a, like(a, b));
}
Bool operator<(Int a, Int b) {
  return compare(arith::CmpIPredicate::slt, a, b);
}
Bool operator<=(Int a, Int b) {
  return compare(arith::CmpIPredicate::sle, a, b);
}
Bool operator>(Int a, Int b) {
  return compare(arith::CmpIPredicate::sgt, a, b);
}
Bool operator==(Int a, Int b) {
  return compare(arith::CmpIPredicate::eq, a, b);
}
Bool operator!=(Int a, Int b) {
  return compare(arith::CmpIPredicate::ne, a, b);
}
Bool operator<(Int a, int64_t b) { return a < like(a, b); }
Bool operator>(Int a, int64_t b) { return a > like(a, b); }
Bool operator==(Int a, int64_t b) { return a == like(a, b); }
Bool operator!=(Int a, int64_t b) { return a != like(a, b); }
Long operator+(Long a, Long b) { return binary<arith::AddIOp>(a, b); }
Long operator*(Long a, Long b) { return binary<arith::MulIOp>(a, b); }
Long operator+(Long a, int64_t b) { return a + like(a, b); }
Long operator*(Long a, int64_t b) { return a * like(a, b); }
Long operator|(Long a, int64_t b) {
  return binary<arith::OrIOp>(a, like(a, b));
}
Float operator+(Float a, Float b) { return binary<arith::AddFOp>(a, b); }
Float operator-(Float a, Float b) { return binary<arith::SubFOp>(a, b); }
Float operator*(Float a, Float b) { return binary<arith::MulFOp>(a, b); }
Float operator*(Float a, double b) { return a * a.builder().constant(b); }
Float operator+(Float a, double b) { return a + a.builder().constant(b); }
Float operator-(Float a) {
  DeviceBuilder &kernel = a.builder();
  return {kernel, arith::NegFOp::create(kernel.ops, kernel.loc, a)};
}
Bool operator==(Float a, Float b) {
  return compare(arith::CmpFPredicate::OEQ, a, b);
}
Bool operator>=(Float a, Float b) {
  return compare(arith::CmpFPredicate::OGE, a, b);
}
Bool notLess(Float a, Float b) {
  return compare(arith::CmpFPredicate::UGE, a, b);
}
Bool operator&(Bool a, Bool b) { return binary<arith::AndIOp>(a, b); }
Bool operator|(Bool a, Bool b) { return binary<arith::OrIOp>(a, b); }

static Float intrinsic(DeviceBuilder &kernel, StringRef name, Value operand) {
  return {kernel, LLVM::CallIntrinsicOp::create(
                      kernel.ops, kernel.loc, kernel.f32(),
                      kernel.ops.getStringAttr(name), ValueRange{operand})
                      .getResult(0)};
}

Int DeviceBuilder::permuteBytes(Int low, Int high, int64_t selector) {
  return asInt(
      inlineAsm("prmt.b32 $0, $1, $2, " + std::to_string(selector) + ";", i32(),
                {{low, "r"}, {high, "r"}}, /*memory=*/false)[0]);
}

Float DeviceBuilder::fma(Float a, Float b, Float c) {
  return {*this, LLVM::FMAOp::create(ops, loc, a, b, c)};
}
Float DeviceBuilder::max(Float a, Float b) {
  return binary<arith::MaxNumFOp>(a, b);
}
Float DeviceBuilder::exp2(Float x) {
  return intrinsic(*this, "llvm.nvvm.ex2.approx.ftz", x);
}
Float DeviceBuilder::log2(Float x) {
  return intrinsic(*this, "llvm.nvvm.lg2.approx.ftz.f", x);
}
Float DeviceBuilder::reciprocal(Float x) {
  return intrinsic(*this, "llvm.nvvm.rcp.approx.ftz.f", x);
}
Float DeviceBuilder::reciprocalSqrt(Float x) {
  return intrinsic(*this, "llvm.nvvm.rsqrt.approx.ftz.f", x);
}
Int DeviceBuilder::min(Int a, Int b) { return binary<arith::MinSIOp>(a, b); }
Int DeviceBuilder::max(Int a, Int b) { return binary<arith::MaxSIOp>(a, b); }
Int DeviceBuilder::minUnsigned(Int a, Int b) {
  return binary<arith::MinUIOp>(a, b);
}
Int DeviceBuilder::ceilDiv(Int a, int64_t b) { return (a + (b - 1)) / b; }
Int DeviceBuilder::select(Bool condition, Int yes, Int no) {
  return {*this, arith::SelectOp::create(ops, loc, condition, yes, no)};
}
Float DeviceBuilder::select(Bool condition, Float yes, Float no) {
  return {*this, arith::SelectOp::create(ops, loc, condition, yes, no)};
}

Float DeviceBuilder::selectByBit(Int mask, int64_t bit, Float yes, Float no) {
  // As arith operations the test becomes a shift and a test of bit 0.
  return {*this,
          inlineAsm("{ .reg .b32 t; .reg .pred p; and.b32 t, $1, " +
                        std::to_string(uint32_t(1) << bit) +
                        "; setp.ne.b32 p, t, 0; selp.f32 $0, $2, $3, p; }",
                    f32(), {{mask, "r"}, {yes, "f"}, {no, "f"}},
                    /*memory=*/false)[0]};
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

Values DeviceBuilder::loop(Int begin, Int end, Int step, ValueRange init,
                           function_ref<Values(Int, ValueRange)> body) {
  auto loop = scf::ForOp::create(
      ops, loc, begin, end, step, init,
      [&](OpBuilder &, Location, Value i, ValueRange carried) {
        OpBuilder::InsertionGuard guard(ops);
        ops.setInsertionPointToEnd(i.getParentBlock());
        Values next = body({*this, i}, carried);
        scf::YieldOp::create(ops, loc, next);
      });
  return Values(loop.getResults());
}

void DeviceBuilder::loop(Int begin, Int end, Int step,
                         function_ref<void(Int)> body) {
  loop(begin, end, step, {}, [&](Int i, ValueRange) {
    body(i);
    return Values();
  });
}

Values DeviceBuilder::loopWhile(ValueRange init,
                                function_ref<Bool(ValueRange)> condition,
                                function_ref<Values(ValueRange)> body) {
  auto loop = scf::WhileOp::create(
      ops, loc, TypeRange(init), init,
      [&](OpBuilder &, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(ops);
        ops.setInsertionPointToEnd(carried.front().getParentBlock());
        Bool again = condition(carried);
        scf::ConditionOp::create(ops, loc, again, carried);
      },
      [&](OpBuilder &, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(ops);
        ops.setInsertionPointToEnd(carried.front().getParentBlock());
        scf::YieldOp::create(ops, loc, body(carried));
      });
  return Values(loop.getResults());
}

void DeviceBuilder::when(Bool condition, function_ref<void()> then,
                         function_ref<void()> otherwise) {
  auto branch =
      scf::IfOp::create(ops, loc, condition, /*withElseRegion=*/!!otherwise);
  OpBuilder::InsertionGuard guard(ops);
  ops.setInsertionPointToStart(branch.thenBlock());
  then();
  if (otherwise) {
    ops.setInsertionPointToStart(branch.elseBlock());
    otherwise();
  }
}

Values DeviceBuilder::choose(Bool condition, TypeRange types,
                             function_ref<Values()> then,
                             function_ref<Values()> otherwise) {
  auto branch =
      scf::IfOp::create(ops, loc, types, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(ops);
  ops.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(ops, loc, then());
  ops.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(ops, loc, otherwise());
  return Values(branch.getResults());
}

//===----------------------------------------------------------------------===//
// Kernels that overlap
//===----------------------------------------------------------------------===//

// LLVM's intrinsics for these order no memory.
void DeviceBuilder::waitForEarlierKernels() {
  inlineAsm("griddepcontrol.wait;", {}, {}, /*memory=*/true);
}
void DeviceBuilder::letNextKernelStart() {
  inlineAsm("griddepcontrol.launch_dependents;", {}, {}, /*memory=*/false);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Global DeviceBuilder::at(Global base, Long offset, Type element) {
  return {*this, LLVM::GEPOp::create(ops, loc, base.getType(), element, base,
                                     ArrayRef<LLVM::GEPArg>{Value(offset)})};
}

Value DeviceBuilder::load(Type type, Global from, bool constant) {
  auto load = LLVM::LoadOp::create(ops, loc, type, from);
  load.setInvariant(constant);
  return load;
}
Int DeviceBuilder::loadInt(Global base, Int index, bool constant) {
  return {*this, load(i32(), at(base, widen(index), i32()), constant)};
}
Float DeviceBuilder::loadFloat(Global base, Int index, bool constant) {
  return {*this, load(f32(), at(base, widen(index), f32()), constant)};
}
void DeviceBuilder::store(Value value, Global to) {
  LLVM::StoreOp::create(ops, loc, value, to);
}

Int DeviceBuilder::atomicAdd(Global to, Int value) {
  return {*this,
          LLVM::AtomicRMWOp::create(ops, loc, LLVM::AtomicBinOp::add, to, value,
                                    LLVM::AtomicOrdering::monotonic)};
}

Int DeviceBuilder::atomicAddInOrder(Global to, Int value) {
  // Of an atomicrmw the NVPTX backend drops the order.
  return asInt(inlineAsm("atom.acq_rel.gpu.global.add.u32 $0, [$1], $2;", i32(),
                         {{to, "l"}, {value, "r"}}, /*memory=*/true)[0]);
}

Value DeviceBuilder::sharedPointer(Int address) {
  return LLVM::IntToPtrOp::create(
      ops, loc, LLVM::LLVMPointerType::get(ops.getContext(), 3),
      ValueRange{address});
}
Value DeviceBuilder::loadShared(Type type, Int address) {
  return LLVM::LoadOp::create(ops, loc, type, sharedPointer(address));
}
void DeviceBuilder::storeShared(Value value, Int address) {
  LLVM::StoreOp::create(ops, loc, value, sharedPointer(address));
}
Value DeviceBuilder::loadCluster(Type type, Int address, Int block) {
  Value there = NVVM::MapaOp::create(
      ops, loc, LLVM::LLVMPointerType::get(ops.getContext(), 7),
      sharedPointer(address), block);
  return LLVM::LoadOp::create(ops, loc, type, there);
}

Int DeviceBuilder::sharedMemory() {
  Value base = LLVM::AddressOfOp::create(
      ops, loc, LLVM::LLVMPointerType::get(ops.getContext(), 3), "smem");
  return {*this, LLVM::PtrToIntOp::create(ops, loc, i32(), ValueRange{base})};
}

Value DeviceBuilder::extract(Value vector, int64_t index) {
  return LLVM::ExtractElementOp::create(ops, loc, vector, integer(index));
}
Value DeviceBuilder::combine(ValueRange elements) {
  auto type = VectorType::get({static_cast<int64_t>(elements.size())},
                              elements.front().getType());
  Value vector = LLVM::UndefOp::create(ops, loc, type);
  for (auto [i, element] : llvm::enumerate(elements))
    vector = LLVM::InsertElementOp::create(ops, loc, vector, element,
                                           integer(static_cast<int64_t>(i)));
  return vector;
}

//===----------------------------------------------------------------------===//
// Warp and block
//===----------------------------------------------------------------------===//

Int DeviceBuilder::uniform(Int value) {
  return {*this,
          NVVM::ShflOp::create(ops, loc, i32(), integer(-1), value, integer(0),
                               integer(31), NVVM::ShflKind::idx, UnitAttr())};
}
Float DeviceBuilder::shuffleXor(Float value, int64_t mask) {
  return {*this, NVVM::ShflOp::create(ops, loc, f32(), integer(-1), value,
                                      integer(mask), integer(31),
                                      NVVM::ShflKind::bfly, UnitAttr())};
}
Float DeviceBuilder::warpSum(Float value) {
  for (int64_t mask : {16, 8, 4, 2, 1})
    value = value + shuffleXor(value, mask);
  return value;
}
Float DeviceBuilder::warpMax(Float value) {
  for (int64_t mask : {16, 8, 4, 2, 1})
    value = max(value, shuffleXor(value, mask));
  return value;
}
Bool DeviceBuilder::elect() {
  return {*this, NVVM::ElectSyncOp::create(ops, loc, ops.getI1Type(), Value())};
}
void DeviceBuilder::syncWarp() {
  NVVM::SyncWarpOp::create(ops, loc, integer(-1));
}
void DeviceBuilder::syncBlock() { NVVM::Barrier0Op::create(ops, loc); }
void DeviceBuilder::syncCluster() {
  NVVM::ClusterArriveOp::create(ops, loc, UnitAttr());
  NVVM::ClusterWaitOp::create(ops, loc, UnitAttr());
}
void DeviceBuilder::syncNamed(Int id, int64_t threads) {
  NVVM::BarrierOp::create(ops, loc, Type(), id, integer(threads),
                          NVVM::BarrierReductionAttr(), Value());
}
void DeviceBuilder::arriveNamed(Int id, int64_t threads) {
  NVVM::BarrierArriveOp::create(ops, loc, id, integer(threads));
}

Values DeviceBuilder::inlineAsm(const std::string &text, TypeRange results,
                                ArrayRef<AsmOperand> operands, bool memory) {
  std::string constraints;
  auto add = [&](const std::string &constraint) {
    constraints += (constraints.empty() ? "" : ",") + constraint;
  };
  for (Type type : results)
    add(type.isF32() ? "=f" : type.isInteger(64) ? "=l" : "=r");
  Values values;
  for (const AsmOperand &operand : operands) {
    add(operand.constraint);
    values.push_back(operand.value);
  }
  if (memory)
    add("~{memory}");
  Type type = results.empty() ? Type()
              : results.size() == 1
                  ? results.front()
                  : LLVM::LLVMStructType::getLiteral(ops.getContext(),
                                                     llvm::to_vector(results));
  auto call = LLVM::InlineAsmOp::create(
      ops, loc, type ? TypeRange(type) : TypeRange(), values, text, constraints,
      /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(ops.getContext(), LLVM::AsmDialect::AD_ATT),
      ArrayAttr());
  if (results.size() < 2)
    return Values(call->getResults());
  Values out;
  for (size_t i = 0; i != results.size(); ++i)
    out.push_back(LLVM::ExtractValueOp::create(
        ops, loc, call->getResult(0),
        ArrayRef<int64_t>{static_cast<int64_t>(i)}));
  return out;
}

} // namespace rshard::cuda
