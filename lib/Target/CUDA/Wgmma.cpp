//===- Wgmma.cpp - matrix products of a warpgroup -------------------------===//
//
// Upstream's nvvm.wgmma.mma_async takes A as a descriptor only, and its waits
// have no operands, so that nothing keeps the code generator from using an
// accumulator too early. Both are inline PTX here, with the accumulators tied
// through: one asm for a whole sequence gives the clean code.
//
//===----------------------------------------------------------------------===//

#include "Wgmma.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/SmallSet.h"

using namespace mlir;

namespace rshard::cuda {

Long describeOperand(DeviceBuilder &k, Int address, int64_t leading,
                     int64_t stride) {
  constexpr int64_t swizzle128 = int64_t(1) << 62;
  Long start = k.widen((address & 0x3FFFF) >> 4);
  return start | ((leading >> 4) << 16 | (stride >> 4) << 32 | swizzle128);
}

Long advance(Long descriptor, Int bytes) {
  return descriptor + bytes.builder().widen(bytes >> 4);
}

static std::string number(size_t operand) {
  return "$" + std::to_string(operand);
}

static std::string registers(size_t first, size_t count) {
  std::string text = "{";
  for (size_t i = 0; i != count; ++i)
    text += (i ? ", " : "") + number(first + i);
  return text + "}";
}

/// The text of all steps. `a` writes the operand A of a step and what must come
/// before it.
static std::string
write(const Products &products, size_t b, StringRef overwrites,
      function_ref<std::string(const Products::Step &, size_t)> prepare,
      function_ref<std::string(size_t)> operandA, StringRef majorness) {
  std::string type = products.element.isBF16() ? "bf16" : "f16";
  std::string text = "wgmma.fence.sync.aligned; ";
  llvm::SmallSet<int64_t, 4> seen;
  for (auto [index, step] : llvm::enumerate(products.steps)) {
    bool first = seen.insert(step.accumulator).second;
    text += prepare(step, index);
    text += "add.s64 db, " + number(b) + ", " + std::to_string(step.b) + "; ";
    text += "wgmma.mma_async.sync.aligned.m64n" +
            std::to_string(products.columns) + "k16.f32." + type + "." + type +
            " " +
            registers(static_cast<size_t>(step.accumulator),
                      static_cast<size_t>(products.columns / 2)) +
            ", " + operandA(index) + ", db, " +
            (first ? overwrites : StringRef("q")).str() + ", 1, 1, " +
            majorness.str() + (products.transposeB ? "1" : "0") + "; ";
  }
  return text + "wgmma.commit_group.sync.aligned; }";
}

static Values emit(DeviceBuilder &k, const std::string &text,
                   SmallVector<AsmOperand> operands, ValueRange accumulators) {
  for (auto [i, accumulator] : llvm::enumerate(accumulators))
    operands.push_back({accumulator, std::to_string(i)});
  return k.inlineAsm(text, TypeRange(accumulators), operands, /*memory=*/true);
}

/// The text with both operands in shared memory; their descriptors are operands
/// `first` and the next. Nothing is kept of an accumulator where `keep` is 0.
static std::string multiplyText(const Products &products, size_t first,
                                const std::string &keep) {
  return "{ .reg .pred p, q; .reg .b64 da, db; setp.ne.b32 p, " + keep +
         ", 0; setp.ne.b32 q, 1, 0; " +
         write(
             products, first + 1, "p",
             [&](const Products::Step &step, size_t) {
               return "add.s64 da, " + number(first) + ", " +
                      std::to_string(step.a) + "; ";
             },
             [](size_t) { return std::string("da"); }, "0, ");
}

Values multiply(DeviceBuilder &k, const Products &products, Long a, Long b,
                ValueRange accumulators, Int keep) {
  size_t first = accumulators.size(); // of the operands behind the results
  return emit(k, multiplyText(products, first, number(first + 2)),
              {{a, "l"}, {b, "l"}, {keep, "r"}}, accumulators);
}

Values multiply(DeviceBuilder &k, const Products &products, Long a, Long b) {
  auto results = static_cast<size_t>(products.columns / 2);
  return k.inlineAsm(multiplyText(products, results, "0"),
                     SmallVector<Type>(results, k.f32()), {{a, "l"}, {b, "l"}},
                     /*memory=*/true);
}

Values multiplyRegisters(DeviceBuilder &k, const Products &products,
                         ValueRange a, Long b, ValueRange accumulators) {
  size_t first = accumulators.size();
  std::string text =
      "{ .reg .pred q; .reg .b64 db; setp.ne.b32 q, 1, 0; " +
      write(
          products, first + a.size(), "q",
          [](const Products::Step &, size_t) { return std::string(); },
          [&](size_t step) { return registers(first + 4 * step, 4); }, "");
  SmallVector<AsmOperand> operands;
  for (Value fragment : a)
    operands.push_back({fragment, "r"});
  operands.push_back({b, "l"});
  return emit(k, text, std::move(operands), accumulators);
}

Values waitProducts(DeviceBuilder &k, int64_t groups, ValueRange accumulators,
                    ValueRange alive) {
  SmallVector<AsmOperand> operands;
  for (auto [i, accumulator] : llvm::enumerate(accumulators))
    operands.push_back({accumulator, std::to_string(i)});
  for (Value value : alive)
    operands.push_back({value, "r"});
  return k.inlineAsm("wgmma.wait_group.sync.aligned " + std::to_string(groups) +
                         ";",
                     TypeRange(accumulators), operands, /*memory=*/true);
}

static NVVM::LdStMatrixShapeAttr matrixShape(DeviceBuilder &k) {
  return NVVM::LdStMatrixShapeAttr::get(k.ops.getContext(), 8, 8);
}

void storeMatrices(DeviceBuilder &k, Int address, ArrayRef<Int> registers) {
  NVVM::StMatrixOp::create(
      k.ops, k.loc, k.sharedPointer(address),
      Values(llvm::map_range(registers, [](Int i) -> Value { return i; })),
      NVVM::MMALayout::row, matrixShape(k), NVVM::LdStMatrixEltType::B16);
}

SmallVector<Int> loadMatrices(DeviceBuilder &k, Int address) {
  auto type = LLVM::LLVMStructType::getLiteral(k.ops.getContext(),
                                               SmallVector<Type>(4, k.i32()));
  Value loaded = NVVM::LdMatrixOp::create(
      k.ops, k.loc, type, k.sharedPointer(address), 4, NVVM::MMALayout::row,
      matrixShape(k), NVVM::LdStMatrixEltType::B16);
  SmallVector<Int> out;
  for (int64_t i = 0; i != 4; ++i)
    out.push_back(k.asInt(LLVM::ExtractValueOp::create(k.ops, k.loc, loaded,
                                                       ArrayRef<int64_t>{i})));
  return out;
}

void setRegisters(DeviceBuilder &k, int64_t count, bool increase) {
  NVVM::SetMaxRegisterOp::create(k.ops, k.loc, static_cast<uint32_t>(count),
                                 increase
                                     ? NVVM::SetMaxRegisterAction::increase
                                     : NVVM::SetMaxRegisterAction::decrease);
}

} // namespace rshard::cuda
