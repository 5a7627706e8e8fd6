//===- WarpMma.cpp - matrix products of a warp ----------------------------===//

#include "WarpMma.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace rshard::cuda {

Accumulator multiplyAdd(DeviceBuilder &k, Type element,
                        const std::array<Int, 4> &a,
                        const std::array<Int, 2> &b, const Accumulator &c) {
  bool bf16 = element.isBF16();
  auto operands = [&](ArrayRef<Int> registers) {
    Values out;
    for (Int value : registers)
      out.push_back(
          bf16 ? Value(value)
               : Value(LLVM::BitcastOp::create(
                     k.ops, k.loc, VectorType::get({2}, element), value)));
    return out;
  };
  auto type = bf16 ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  auto result = LLVM::LLVMStructType::getLiteral(k.ops.getContext(),
                                                 SmallVector<Type>(4, k.f32()));
  Value product = NVVM::MmaOp::create(
      k.ops, k.loc, result, operands(a), operands(b),
      Values(c.begin(), c.end()), ArrayRef<int64_t>{16, 8, 16}, std::nullopt,
      std::nullopt, std::array<NVVM::MMATypes, 2>{type, type},
      std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row,
                                     NVVM::MMALayout::col});
  Accumulator out;
  for (int64_t i = 0; i != 4; ++i)
    out[static_cast<size_t>(i)] = k.asFloat(LLVM::ExtractValueOp::create(
        k.ops, k.loc, product, ArrayRef<int64_t>{i}));
  return out;
}

Int transposeMatrix(DeviceBuilder &k, Int matrix) {
  return k.asInt(k.inlineAsm("movmatrix.sync.aligned.m8n8.trans.b16 $0, $1;",
                             k.i32(), {{matrix, "r"}}, /*memory=*/false)[0]);
}

} // namespace rshard::cuda
