//===- Attention.cpp - what the kernels of attention share ----------------===//

#include "Attention.h"
#include <cmath>

using namespace mlir;

namespace rshard::cuda {

std::string attentionName(const std::string &kind,
                          const AttentionParams &params) {
  return kind + "_" + std::to_string(params.queryHeads) + "x" +
         std::to_string(params.keyHeads) + "x" +
         std::to_string(params.headSize) + "_" + bitsName(params.scale) +
         (params.softCap ? "_cap_" + bitsName(params.softCap) : "") + "_" +
         elementName(params.element) + "_" + elementName(params.result);
}

Float scoreOf(DeviceBuilder &k, const AttentionParams &params, Float product) {
  if (!params.softCap)
    return product;
  // tanh(x) = 1 - 2 / (1 + exp(2 x))
  Float power = k.exp2(product * (2 * params.scale / params.softCap * log2e));
  return k.fma(k.reciprocal(power + 1.0),
               k.constant(-2 * params.softCap * log2e),
               k.constant(params.softCap * log2e));
}

Continuation continuePartial(DeviceBuilder &k, Float earlierLse, Float lse,
                             Float inverse) {
  Float zero = k.constant(0);
  Float most = k.max(earlierLse, lse);
  // Where both are -inf the weights are exp(-inf - 0) = 0.
  Float shift = k.select(most == k.constant(-INFINITY), zero, most);
  Float earlier = k.exp2((earlierLse - shift) * log2e);
  Float added = k.exp2((lse - shift) * log2e);
  Float sum = earlier + added;
  Float share = k.select(sum == zero, zero, k.reciprocal(sum));
  return {earlier * share, added * share * inverse,
          k.fma(k.log2(sum), k.constant(ln2), most)};
}

SmallVector<KernelLibrary::Variant>
KernelLibrary::attention(const AttentionParams &params) {
  SmallVector<Variant> variants = decodeAttention(params);
  variants.push_back(
      {std::numeric_limits<int64_t>::max(), partialAttention(params)});
  return variants;
}

} // namespace rshard::cuda
