//===- Sampling.h - From logits to the next token
//---------------------------===//
#ifndef RSHARD_RUNTIME_SAMPLING_H
#define RSHARD_RUNTIME_SAMPLING_H

#include "rshard/tokenset/Expected.h"

#include <cstdint>
#include <span>
#include <vector>

namespace rshard::runtime {
using tokenset::Error;
using tokenset::Expected;

struct SamplingOptions {
  double temperature =
      0; ///< 0: greedy, the most likely token, the smallest id among equals
  double topP = 1; ///< draw from the most likely tokens whose probabilities
                   ///< reach this sum
  uint64_t seed = 0;
};

/// Draws tokens. The same options and logits give the same tokens (C9).
class Sampler {
public:
  /// Errors: a temperature below 0 or not finite, topP outside (0, 1].
  static Expected<Sampler> create(const SamplingOptions &options);
  /// Errors: no logits, or one that is NaN or +inf, or none that is finite.
  Expected<int32_t> next(std::span<const float> logits);

private:
  struct Candidate {
    double weight;
    int32_t token;
  };
  explicit Sampler(const SamplingOptions &options)
      : options(options), random(options.seed) {}
  double uniform();

  SamplingOptions options;
  uint64_t random;
  std::vector<Candidate> candidates;
};

} // namespace rshard::runtime

#endif
