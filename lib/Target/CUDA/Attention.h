//===- Attention.h - what the kernels of attention share ---------*- C++
//-*-===//

#ifndef RSHARD_LIB_TARGET_CUDA_ATTENTION_H
#define RSHARD_LIB_TARGET_CUDA_ATTENTION_H

#include "DeviceBuilder.h"
#include "rshard/Target/CUDA/KernelLibrary.h"

namespace rshard::cuda {

/// The kernel's name says all parameters.
std::string attentionName(const std::string &kind,
                          const AttentionParams &params);

/// Scores are kept as the products q k give them; `base2` times that is the
/// exponent of 2, `natural` times that the exponent of e. Capped ones are kept
/// as exponents of 2.
struct ScoreUnits {
  explicit ScoreUnits(const AttentionParams &params)
      : base2(params.softCap ? 1.0 : params.scale * log2e),
        natural(params.softCap ? ln2 : params.scale) {}
  double base2, natural;
};

/// The score of a product q k, capped if the parameters say so.
Float scoreOf(DeviceBuilder &k, const AttentionParams &params, Float product);

/// How an earlier partial and one that is normalised but for the factor
/// `inverse` become one (C3): o = earlier * o + added * sums.
struct Continuation {
  Float earlier, added, lse;
};
Continuation continuePartial(DeviceBuilder &k, Float earlierLse, Float lse,
                             Float inverse);

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_ATTENTION_H
