#include "rshard/runtime/Sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace rshard::runtime {

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
/// Logits that are looked at together: the greatest of every block is kept, and
/// one of them is searched.
constexpr size_t blockSize = 1024;
/// Independent chains of the loop over a block, which vector instructions then
/// take together.
constexpr size_t lanes = 16;

/// The greatest logit of a block, which may be -inf; NaN if one is NaN or
/// infinity.
float greatest(std::span<const float> block) {
  float most[lanes];
  uint32_t all[lanes]; // every logit is below infinity, which NaN is not
  std::ranges::fill(most, -infinity);
  std::ranges::fill(all, 1U);
  size_t whole = block.size() / lanes * lanes;
  for (size_t i = 0; i != whole; i += lanes)
    for (size_t lane = 0; lane != lanes; ++lane) {
      float logit = block[i + lane];
      most[lane] = logit > most[lane] ? logit : most[lane];
      all[lane] &= logit < infinity ? 1U : 0U;
    }
  for (float logit : block.subspan(whole)) {
    most[0] = logit > most[0] ? logit : most[0];
    all[0] &= logit < infinity ? 1U : 0U;
  }
  if (std::ranges::find(all, 0U) != std::end(all))
    return std::numeric_limits<float>::quiet_NaN();
  return *std::ranges::max_element(most);
}

} // namespace

Expected<Sampler> Sampler::create(const SamplingOptions &options) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature))
    return Error{"temperature " + std::to_string(options.temperature) +
                 ", 0 or more is required"};
  if (!(options.topP > 0 && options.topP <= 1))
    return Error{"top-p " + std::to_string(options.topP) +
                 ", more than 0 and at most 1 is required"};
  return Sampler(options);
}

/// SplitMix64 (Steele, Lea, Flood 2014), whose stream no library version can
/// change; [0, 1).
double Sampler::uniform() {
  uint64_t z = random += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

Expected<int32_t> Sampler::next(std::span<const float> logits) {
  if (logits.empty())
    return Error{"no logits to draw from"};
  float most = -infinity;
  size_t best = 0; // first of the block that has the greatest
  for (size_t begin = 0; begin < logits.size(); begin += blockSize) {
    auto block =
        logits.subspan(begin, std::min(blockSize, logits.size() - begin));
    float one = greatest(block);
    if (std::isnan(one)) {
      auto bad = std::ranges::find_if_not(
          block, [](float logit) { return logit < infinity; });
      return Error{
          "logit of token " +
          std::to_string(begin + static_cast<size_t>(bad - block.begin())) +
          " is " + std::to_string(*bad)};
    }
    if (one > most) {
      most = one;
      best = begin;
    }
  }
  while (logits[best] != most)
    ++best;
  if (std::isinf(logits[best]))
    return Error{"no logit is finite"};
  if (options.temperature == 0)
    return static_cast<int32_t>(best);

  candidates.clear();
  double total = 0;
  for (size_t i = 0; i != logits.size(); ++i) {
    double weight = std::exp((double(logits[i]) - double(logits[best])) /
                             options.temperature);
    total += weight;
    candidates.push_back({weight, static_cast<int32_t>(i)});
  }
  if (options.topP < 1) {
    std::sort(candidates.begin(), candidates.end(),
              [](const Candidate &a, const Candidate &b) {
                return a.weight != b.weight ? a.weight > b.weight
                                            : a.token < b.token;
              });
    double kept = 0;
    size_t count = 0;
    while (count != candidates.size() && kept < options.topP * total)
      kept += candidates[count++].weight;
    candidates.resize(count);
    total = kept;
  }
  double left = uniform() * total;
  for (const Candidate &candidate : candidates) {
    left -= candidate.weight;
    if (left < 0)
      return candidate.token;
  }
  // Rounding left a crumb: the last one that can be drawn.
  for (size_t i = candidates.size(); i-- != 0;)
    if (candidates[i].weight > 0)
      return candidates[i].token;
  return static_cast<int32_t>(best);
}

} // namespace rshard::runtime
