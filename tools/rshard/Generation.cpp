//===- Generation.cpp - a prompt and its continuation ---------------------===//

#include "Generation.h"
#include <algorithm>
#include <chrono>
#include <cmath>

using namespace rshard;
using namespace rshard::tool;
using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Rows of positions from `position` on.
static tokenset::Expected<void> checkFinite(const runtime::Rows &rows,
                                            int64_t position) {
  for (int64_t i = 0; i < rows.rows * rows.width; ++i)
    if (!std::isfinite(rows.data[i]))
      return tokenset::Error{"result " + std::to_string(i % rows.width) +
                             " of position " +
                             std::to_string(position + i / rows.width) +
                             " is " + std::to_string(rows.data[i])};
  return {};
}

tokenset::Expected<Generation> rshard::tool::generate(
    runtime::Session &session, const std::vector<int32_t> &prompt,
    const GenerationOptions &options, runtime::Progress progress,
    const std::function<bool(int32_t)> &emit) {
  auto sampler = runtime::Sampler::create(options.sampling);
  if (!sampler)
    return sampler.error();
  const std::vector<int32_t> &end = session.manifest().model.endTokens;
  Generation out;
  out.tokens = prompt;
  out.promptLength = static_cast<int64_t>(prompt.size());

  std::span<const float> last; // until the next step
  auto step = [&](int64_t begin, int64_t count) -> tokenset::Expected<void> {
    bool needed = begin + count == static_cast<int64_t>(out.tokens.size());
    auto rows = session.step({out.tokens.data() + begin, size_t(count)}, begin,
                             options.keepRows ? runtime::Want::All
                             : needed         ? runtime::Want::Last
                                              : runtime::Want::None);
    if (!rows)
      return rows.error();
    if (auto good = checkFinite(*rows, begin + count - rows->rows); !good)
      return good;
    out.width = rows->width;
    if (options.keepRows)
      out.rows.insert(out.rows.end(), rows->data,
                      rows->data + rows->rows * rows->width);
    if (needed)
      last = rows->row(rows->rows - 1);
    return {};
  };

  Clock::time_point begin = Clock::now();
  int64_t chunk = options.chunk ? options.chunk : session.largestStep();
  for (int64_t at = 0; at < out.promptLength;) {
    int64_t count = std::min(chunk, out.promptLength - at);
    if (auto done = step(at, count); !done)
      return done.error();
    at += count;
    progress(uint64_t(at), uint64_t(out.promptLength));
  }
  progress = {}; // its line goes before tokens come
  out.promptSeconds = secondsSince(begin);

  begin = Clock::now();
  for (int64_t made = 0; made < options.length.newTokens(); ++made) {
    auto token = sampler->next(last);
    if (!token)
      return token.error();
    if (!options.ignoreEnd &&
        std::find(end.begin(), end.end(), *token) != end.end())
      break;
    out.tokens.push_back(*token);
    if (!emit(*token))
      break;
    // The last token's own logits are asked for by nobody.
    if (made + 1 < options.length.newTokens())
      if (auto done = step(int64_t(out.tokens.size()) - 1, 1); !done)
        return done.error();
  }
  out.tokenSeconds = secondsSince(begin);
  return out;
}
