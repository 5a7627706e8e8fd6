//===- KernelLibrary.cpp - what all kernels share -------------------------===//

#include "rshard/Target/CPU/KernelLibrary.h"
#include "KernelTypes.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/StringExtras.h"
#include <cmath>

using namespace mlir;

namespace rshard::cpu {

func::FuncOp
KernelLibrary::define(const std::string &parameters, ArrayRef<Type> arguments,
                      function_ref<void(KernelBuilder &, ValueRange)> body) {
  std::string name = "cpu." + parameters;
  if (auto known = module.lookupSymbol<func::FuncOp>(name))
    return known;
  OpBuilder ops = OpBuilder::atBlockEnd(module.getBody());
  auto function = func::FuncOp::create(
      ops, module.getLoc(), name, ops.getFunctionType(arguments, TypeRange{}));
  function.setPrivate();
  ops.setInsertionPointToStart(function.addEntryBlock());
  KernelBuilder kernel(ops, function.getLoc());
  body(kernel, function.getArguments());
  func::ReturnOp::create(ops, function.getLoc());
  return function;
}

Type KernelTypes::element(ElementKind kind) {
  return kind == ElementKind::BF16 ? Type(ops.getBF16Type())
                                   : Type(ops.getF32Type());
}

Type KernelTypes::matrix(int64_t width, ElementKind kind) {
  return MemRefType::get({ShapedType::kDynamic, width}, element(kind),
                         StridedLayoutAttr::get(ops.getContext(),
                                                ShapedType::kDynamic,
                                                {width, 1}));
}

Type KernelTypes::vector(int64_t width) {
  return MemRefType::get({width}, ops.getF32Type());
}

Type KernelTypes::table() {
  return MemRefType::get(
      {ShapedType::kDynamic}, ops.getI32Type(),
      StridedLayoutAttr::get(ops.getContext(), ShapedType::kDynamic, {1}));
}

StringRef nameOf(ElementKind kind) {
  return kind == ElementKind::BF16 ? "bf16" : "f32";
}

StringRef nameOf(std::optional<Activation> activation) {
  return activation ? stringifyActivation(*activation) : "none";
}

std::string nameOf(double value) {
  APFloat exact(static_cast<float>(value));
  return llvm::utohexstr(exact.bitcastToAPInt().getZExtValue(),
                         /*LowerCase=*/true);
}

Float activate(std::optional<Activation> activation, Float x) {
  if (!activation)
    return x;
  KernelBuilder &k = x.builder();
  switch (*activation) {
  case Activation::SiLU:
    return x / (k.exp(-x) + 1.0);
  case Activation::GELU:
    return x * 0.5 * (k.erf(x * std::sqrt(0.5)) + 1.0);
  case Activation::GELUTanh: {
    Float cubic = k.fma(x * x * x, k.constantLike(0.044715, x), x);
    return x * 0.5 * (k.tanh(cubic * std::sqrt(2.0 / M_PI)) + 1.0);
  }
  case Activation::ReLU:
    return k.max(x, k.constantLike(0.0, x));
  }
  llvm_unreachable("all activations are generated");
}

} // namespace rshard::cpu
