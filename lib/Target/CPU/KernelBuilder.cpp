//===- KernelBuilder.cpp - typed expressions over scf and vector ----------===//

#include "KernelBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <numeric>

using namespace mlir;

namespace rshard::cpu {

//===----------------------------------------------------------------------===//
// Constants and conversions
//===----------------------------------------------------------------------===//

int64_t widthOf(Value value) {
  auto type = dyn_cast<VectorType>(value.getType());
  return type ? type.getNumElements() : 0;
}

static Type withWidth(Type element, int64_t width) {
  return width ? Type(VectorType::get({width}, element)) : element;
}

/// `value` of `element`, splat to `width` lanes if that is not 0.
static Value constantOf(KernelBuilder &k, TypedAttr value, int64_t width) {
  if (width)
    value = DenseElementsAttr::get(VectorType::get({width}, value.getType()),
                                   Attribute(value));
  return arith::ConstantOp::create(k.ops, k.loc, value);
}

Index KernelBuilder::index(int64_t value) {
  return {*this, constantOf(*this, ops.getIndexAttr(value), 0)};
}

Float KernelBuilder::constant(double value, int64_t width) {
  return {*this, constantOf(*this, ops.getF32FloatAttr(value), width)};
}

Float KernelBuilder::constantLike(double value, Float like) {
  return constant(value, widthOf(like));
}

template <Kind K>
static Typed<K> splat(KernelBuilder &k, Typed<K> scalar, int64_t width) {
  auto type = VectorType::get({width}, scalar.getType());
  return {k, vector::BroadcastOp::create(k.ops, k.loc, type, scalar)};
}

Float KernelBuilder::broadcast(Float scalar, int64_t width) {
  return splat(*this, scalar, width);
}

Int KernelBuilder::broadcast(Int scalar, int64_t width) {
  return splat(*this, scalar, width);
}

Int KernelBuilder::consecutive(Index first, int64_t width) {
  SmallVector<int32_t> steps(width);
  std::iota(steps.begin(), steps.end(), 0);
  auto type = VectorType::get({width}, ops.getI32Type());
  Value from = arith::IndexCastOp::create(ops, loc, ops.getI32Type(), first);
  Value lanes = arith::ConstantOp::create(
      ops, loc, DenseElementsAttr::get(type, ArrayRef(steps)));
  return {*this, arith::AddIOp::create(
                     ops, loc, broadcast(Int(*this, from), width), lanes)};
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static SmallVector<Value> valuesOf(At at) {
  return SmallVector<Value>(at.begin(), at.end());
}

static Type elementOf(Memory memory) {
  return cast<MemRefType>(memory.getType()).getElementType();
}

Index KernelBuilder::rows(Memory memory) {
  return {*this, memref::DimOp::create(ops, loc, memory, 0)};
}

/// Kernels compute in f32 whatever the storage.
static Value widen(KernelBuilder &k, Value value) {
  if (getElementTypeOrSelf(value).isF32())
    return value;
  Type type = withWidth(k.ops.getF32Type(), widthOf(value));
  return arith::ExtFOp::create(k.ops, k.loc, type, value);
}

Value KernelBuilder::mask(Lanes lanes) {
  SmallVector<bool> bits(lanes.width, false);
  std::fill_n(bits.begin(), lanes.active, true);
  auto type = VectorType::get({lanes.width}, ops.getI1Type());
  return arith::ConstantOp::create(ops, loc,
                                   DenseElementsAttr::get(type, bits));
}

Float KernelBuilder::load(Memory memory, At at) {
  return {*this,
          widen(*this, memref::LoadOp::create(ops, loc, memory, valuesOf(at)))};
}

Float KernelBuilder::load(Memory memory, At at, Lanes lanes) {
  Type element = elementOf(memory);
  auto type = VectorType::get({lanes.width}, element);
  if (lanes.active == lanes.width)
    return {*this, widen(*this, vector::LoadOp::create(ops, loc, type, memory,
                                                       valuesOf(at)))};
  Value zero = constantOf(*this, ops.getFloatAttr(element, 0.0), lanes.width);
  return {*this, widen(*this, vector::MaskedLoadOp::create(ops, loc, type,
                                                           memory, valuesOf(at),
                                                           mask(lanes), zero))};
}

Int KernelBuilder::loadInt(Memory memory, At at) {
  return {*this, memref::LoadOp::create(ops, loc, memory, valuesOf(at))};
}

Index KernelBuilder::loadIndex(Memory memory, At at) {
  return {*this, arith::IndexCastOp::create(ops, loc, ops.getIndexType(),
                                            loadInt(memory, at))};
}

void KernelBuilder::store(Float value, Memory memory, At at) {
  memref::StoreOp::create(ops, loc, value, memory, valuesOf(at));
}

void KernelBuilder::store(Float value, Memory memory, At at, Lanes lanes) {
  if (lanes.active == lanes.width)
    vector::StoreOp::create(ops, loc, value, memory, valuesOf(at));
  else
    vector::MaskedStoreOp::create(ops, loc, memory, valuesOf(at), mask(lanes),
                                  value);
}

void KernelBuilder::prefetch(Memory memory, At at) {
  memref::PrefetchOp::create(ops, loc, memory, valuesOf(at),
                             /*isWrite=*/false, /*localityHint=*/3,
                             /*isDataCache=*/true);
}

Memory KernelBuilder::tile(ArrayRef<int64_t> shape) {
  auto type = MemRefType::get(shape, ops.getF32Type());
  return memref::AllocaOp::create(ops, loc, type, ops.getI64IntegerAttr(64));
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

void KernelBuilder::forEach(Index begin, Index end, int64_t step, Body body) {
  auto loop = scf::ForOp::create(ops, loc, begin, end, index(step));
  OpBuilder::InsertionGuard guard(ops);
  ops.setInsertionPointToStart(loop.getBody());
  body({*this, loop.getInductionVar()});
}

KernelBuilder::Carried
KernelBuilder::fold(Index begin, Index end, int64_t step, Carried init,
                    function_ref<void(Index, Carried &)> body) {
  SmallVector<Value> values(init.begin(), init.end());
  auto loop = scf::ForOp::create(
      ops, loc, begin, end, index(step), values,
      [&](OpBuilder &inner, Location, Value iv, ValueRange carried) {
        OpBuilder::InsertionGuard guard(ops);
        ops.restoreInsertionPoint(inner.saveInsertionPoint());
        Carried current;
        for (Value value : carried)
          current.push_back({*this, value});
        body({*this, iv}, current);
        scf::YieldOp::create(
            ops, loc, SmallVector<Value>(current.begin(), current.end()));
      });
  Carried results;
  for (Value value : loop.getResults())
    results.push_back({*this, value});
  return results;
}

void KernelBuilder::parallel(At extents, function_ref<void(At)> body) {
  SmallVector<Value> zeros(extents.size(), index(0));
  SmallVector<Value> ones(extents.size(), index(1));
  auto loop = scf::ParallelOp::create(ops, loc, zeros, valuesOf(extents), ones);
  OpBuilder::InsertionGuard guard(ops);
  ops.setInsertionPointToStart(loop.getBody());
  SmallVector<Index> ivs;
  for (Value iv : loop.getInductionVars())
    ivs.push_back({*this, iv});
  body(ivs);
}

void KernelBuilder::when(Bool condition, function_ref<void()> then,
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

void KernelBuilder::forCount(Index value, int64_t last,
                             function_ref<void(int64_t)> body) {
  if (last == 1)
    return body(1);
  SmallVector<int64_t> cases;
  for (int64_t count = 1; count < last; ++count)
    cases.push_back(count);
  auto choice = scf::IndexSwitchOp::create(ops, loc, TypeRange{}, value, cases,
                                           cases.size());
  OpBuilder::InsertionGuard guard(ops);
  auto fill = [&](Region &region, int64_t count) {
    ops.setInsertionPointToStart(&region.emplaceBlock());
    body(count);
    scf::YieldOp::create(ops, loc);
  };
  for (auto [region, count] : llvm::zip(choice.getCaseRegions(), cases))
    fill(region, count);
  fill(choice.getDefaultRegion(), last);
}

void KernelBuilder::chunks(int64_t size, int64_t width,
                           function_ref<void(Index, Lanes)> body) {
  int64_t full = size / width, tail = size % width;
  if (full == 1)
    body(index(0), width);
  else if (full > 1)
    forEach(index(0), index(full * width), width,
            [&](Index at) { body(at, width); });
  if (tail)
    body(index(full * width),
         Lanes(static_cast<int64_t>(llvm::PowerOf2Ceil(tail)), tail));
}

SmallVector<std::pair<int64_t, Lanes>> KernelBuilder::cover(int64_t size,
                                                            int64_t width) {
  SmallVector<std::pair<int64_t, Lanes>> pieces;
  for (int64_t at = 0; at < size; at += width) {
    int64_t active = std::min(width, size - at);
    pieces.push_back(
        {at, Lanes(static_cast<int64_t>(llvm::PowerOf2Ceil(active)), active)});
  }
  return pieces;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

template <typename Op, Kind K> static Typed<K> binary(Typed<K> a, Typed<K> b) {
  KernelBuilder &k = a.builder();
  return {k, Op::create(k.ops, k.loc, Value(a), Value(b))};
}

template <typename Op> static Float unary(Float a) {
  KernelBuilder &k = a.builder();
  return {k, Op::create(k.ops, k.loc, Value(a))};
}

template <Kind K>
static Bool compare(arith::CmpIPredicate predicate, Typed<K> a, Typed<K> b) {
  KernelBuilder &k = a.builder();
  return {k, arith::CmpIOp::create(k.ops, k.loc, predicate, a, b)};
}

static Bool compare(arith::CmpFPredicate predicate, Float a, Float b) {
  KernelBuilder &k = a.builder();
  return {k, arith::CmpFOp::create(k.ops, k.loc, predicate, a, b)};
}

Index operator+(Index a, Index b) { return binary<arith::AddIOp>(a, b); }
Index operator-(Index a, Index b) { return binary<arith::SubIOp>(a, b); }
Index operator*(Index a, Index b) { return binary<arith::MulIOp>(a, b); }
Index operator/(Index a, Index b) { return binary<arith::DivUIOp>(a, b); }
Index operator%(Index a, Index b) { return binary<arith::RemUIOp>(a, b); }
Index operator+(Index a, int64_t b) { return a + a.builder().index(b); }
Index operator-(Index a, int64_t b) { return a - a.builder().index(b); }
Index operator*(Index a, int64_t b) { return a * a.builder().index(b); }
Index operator/(Index a, int64_t b) { return a / a.builder().index(b); }
Index operator%(Index a, int64_t b) { return a % a.builder().index(b); }
Bool operator<(Index a, Index b) {
  return compare(arith::CmpIPredicate::slt, a, b);
}
Bool operator<=(Index a, Index b) {
  return compare(arith::CmpIPredicate::sle, a, b);
}
Bool operator==(Index a, Index b) {
  return compare(arith::CmpIPredicate::eq, a, b);
}

Bool operator<(Int a, Int b) {
  return compare(arith::CmpIPredicate::slt, a, b);
}
Bool operator<=(Int a, Int b) {
  return compare(arith::CmpIPredicate::sle, a, b);
}

Float operator+(Float a, Float b) { return binary<arith::AddFOp>(a, b); }
Float operator-(Float a, Float b) { return binary<arith::SubFOp>(a, b); }
Float operator*(Float a, Float b) { return binary<arith::MulFOp>(a, b); }
Float operator/(Float a, Float b) { return binary<arith::DivFOp>(a, b); }
Float operator*(Float a, double b) {
  return a * a.builder().constantLike(b, a);
}
Float operator+(Float a, double b) {
  return a + a.builder().constantLike(b, a);
}
Float operator-(Float a) { return unary<arith::NegFOp>(a); }
Bool operator<(Float a, Float b) {
  return compare(arith::CmpFPredicate::OLT, a, b);
}
Bool operator==(Float a, Float b) {
  return compare(arith::CmpFPredicate::OEQ, a, b);
}

Bool operator&(Bool a, Bool b) { return binary<arith::AndIOp>(a, b); }

// math.fma and not vector.fma: the latter becomes llvm.fmuladd, which the
// backend may or may not fuse.
Float KernelBuilder::fma(Float a, Float b, Float c) {
  return {*this, math::FmaOp::create(ops, loc, Value(a), Value(b), Value(c))};
}

Float KernelBuilder::exp(Float x) { return unary<math::ExpOp>(x); }
Float KernelBuilder::log(Float x) { return unary<math::LogOp>(x); }
Float KernelBuilder::tanh(Float x) { return unary<math::TanhOp>(x); }
Float KernelBuilder::erf(Float x) { return unary<math::ErfOp>(x); }
Float KernelBuilder::sqrt(Float x) { return unary<math::SqrtOp>(x); }

// The form that is one instruction on x86: arith.maximumf and maxnumf treat
// NaN and signed zeros in ways that are not.
Float KernelBuilder::max(Float a, Float b) { return select(b < a, a, b); }

Float KernelBuilder::select(Bool condition, Float yes, Float no) {
  return {*this, arith::SelectOp::create(ops, loc, condition, yes, no)};
}

Index KernelBuilder::select(Bool condition, Index yes, Index no) {
  return {*this, arith::SelectOp::create(ops, loc, condition, yes, no)};
}

Float KernelBuilder::keep(Float value, Lanes lanes) {
  return keep(value, Bool(*this, mask(lanes)));
}

Float KernelBuilder::keep(Float value, Bool where) {
  return select(where, value, constantLike(0.0, value));
}

Index KernelBuilder::min(Index a, Index b) {
  return binary<arith::MinSIOp>(a, b);
}

Index KernelBuilder::max(Index a, Index b) {
  return binary<arith::MaxSIOp>(a, b);
}

Index KernelBuilder::ceilDiv(Index a, int64_t b) { return (a + (b - 1)) / b; }

// A tree of halves: the order is written down here, so that it is the same on
// every target, which vector.reduction leaves open.
static Float halve(Float vector, function_ref<Float(Float, Float)> combine) {
  KernelBuilder &k = vector.builder();
  while (int64_t half = widthOf(vector) / 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < half; ++lane) {
      low.push_back(lane);
      high.push_back(half + lane);
    }
    auto pick = [&](ArrayRef<int64_t> lanes) {
      return Float(k, vector::ShuffleOp::create(k.ops, k.loc, Value(vector),
                                                Value(vector), lanes));
    };
    vector = combine(pick(low), pick(high));
  }
  return {k, vector::ExtractOp::create(k.ops, k.loc, Value(vector), 0)};
}

Float KernelBuilder::sum(Float vector) {
  return halve(vector, [](Float a, Float b) { return a + b; });
}

Float KernelBuilder::maximum(Float vector) {
  return halve(vector, [&](Float a, Float b) { return max(a, b); });
}

SmallVector<Float> KernelBuilder::transpose(ArrayRef<Float> rows) {
  SmallVector<Float> current(rows);
  int64_t size = rows.size();
  // Each round exchanges the off-diagonal quarters of all 2 distance x
  // 2 distance blocks on the diagonal.
  for (int64_t distance = size / 2; distance; distance /= 2) {
    SmallVector<int64_t> upper, lower;
    for (int64_t lane = 0; lane < size; ++lane) {
      bool second = lane & distance;
      upper.push_back(second ? size + lane - distance : lane);
      lower.push_back(second ? size + lane : lane + distance);
    }
    for (int64_t row = 0; row < size; ++row) {
      if (row & distance)
        continue;
      Value a = current[row], b = current[row + distance];
      current[row] = {*this, vector::ShuffleOp::create(ops, loc, a, b, upper)};
      current[row + distance] = {
          *this, vector::ShuffleOp::create(ops, loc, a, b, lower)};
    }
  }
  return current;
}

} // namespace rshard::cpu
