//===- Activate.cpp - activation functions of one thread ------------------===//

#include "Activate.h"

using namespace mlir;

namespace rshard::cuda {

/// 1 / (1 + exp(-x)); exp2 saturates to 0 and infinity, whose reciprocals are
/// right.
static Float sigmoid(DeviceBuilder &k, Float x) {
  return k.reciprocal(k.exp2(x * -log2e) + 1.0);
}

/// erf by Abramowitz and Stegun, 7.1.26: absolute error below 1.5e-7.
static Float erf(DeviceBuilder &k, Float x) {
  Float magnitude = k.asBits(k.asBits(x) & 0x7FFFFFFF);
  Int sign = k.asBits(x) & k.integer(INT32_MIN);
  Float t =
      k.reciprocal(k.fma(magnitude, k.constant(0.3275911), k.constant(1.0)));
  Float sum = k.constant(1.061405429);
  for (double coefficient :
       {-1.453152027, 1.421413741, -0.284496736, 0.254829592})
    sum = k.fma(sum, t, k.constant(coefficient));
  Float tail = k.exp2(magnitude * magnitude * -log2e);
  Float result = k.fma(-(sum * t), tail, k.constant(1.0));
  return k.asBits(k.asBits(result) | sign);
}

Float activate(DeviceBuilder &k, Activation kind, Float x) {
  switch (kind) {
  case Activation::SiLU:
    return x * sigmoid(k, x);
  case Activation::GELU:
    return x * k.fma(erf(k, x * 0.70710678118654752), k.constant(0.5),
                     k.constant(0.5));
  case Activation::GELUTanh: {
    // (1 + tanh(u)) / 2 is the sigmoid of 2u.
    Float u = x * k.fma(x * x, k.constant(0.044715), k.constant(1.0));
    return x * sigmoid(k, u * 1.5957691216057308);
  }
  case Activation::ReLU:
    return k.max(x, k.constant(0.0));
  }
  llvm_unreachable("all activations have code");
}

Float activateGated(DeviceBuilder &k, std::optional<Activation> kind,
                    Float value, std::optional<Float> up) {
  if (kind)
    value = activate(k, *kind, value);
  return up ? value * *up : value;
}

} // namespace rshard::cuda
