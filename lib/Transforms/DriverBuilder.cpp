//===- DriverBuilder.cpp - the vocabulary of a driver ---------------------===//

#include "DriverBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rshard;

Value DriverBuilder::constant(int64_t value) {
  return arith::ConstantIndexOp::create(*this, loc, value);
}

Value DriverBuilder::add(Value lhs, Value rhs) {
  return arith::AddIOp::create(*this, loc, lhs, rhs);
}

Value DriverBuilder::sub(Value lhs, Value rhs) {
  return arith::SubIOp::create(*this, loc, lhs, rhs);
}

Value DriverBuilder::mul(Value lhs, Value rhs) {
  return arith::MulIOp::create(*this, loc, lhs, rhs);
}

Value DriverBuilder::div(Value lhs, Value rhs) {
  return arith::DivUIOp::create(*this, loc, lhs, rhs);
}

Value DriverBuilder::load(Value table, Value index) {
  Value entry = memref::LoadOp::create(*this, loc, table, index);
  return arith::IndexCastOp::create(*this, loc, getIndexType(), entry);
}

std::pair<Value, Value> DriverBuilder::slice(Value begin, Value index) {
  Value first = load(begin, index);
  Value last = load(begin, add(index, constant(1)));
  return {first, sub(last, first)};
}

Value DriverBuilder::rowsOf(Value buffer, Value begin, Value count) {
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<OpFoldResult> offsets = {begin}, sizes = {count},
                            strides(type.getRank(), getIndexAttr(1));
  for (int64_t size : type.getShape().drop_front()) {
    offsets.push_back(getIndexAttr(0));
    sizes.push_back(getIndexAttr(size));
  }
  return memref::SubViewOp::create(*this, loc, buffer, offsets, sizes, strides);
}

void DriverBuilder::forEach(Value count,
                            function_ref<void(DriverBuilder &, Value)> body) {
  scf::ForOp::create(*this, loc, constant(0), count, constant(1), ValueRange(),
                     [&](OpBuilder &place, Location, Value index, ValueRange) {
                       DriverBuilder inner(place, loc);
                       body(inner, index);
                       scf::YieldOp::create(inner, loc);
                     });
}
