// Continues a text with a compiled program: 16 tokens at most, greedily.
//
// usage: generate ARTIFACT MODEL TOKEN...

#include "rshard/runtime/Runtime.h"

#include <algorithm>
#include <charconv>
#include <iostream>
#include <string>

using namespace rshard::runtime;

static int fail(const Error &error) {
  std::cerr << "error: " << error.message << "\n";
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 4)
    return fail({"usage: generate ARTIFACT MODEL TOKEN..."});
  auto artifact = Artifact::open(argv[1]);
  if (!artifact)
    return fail(artifact.error());
  auto weights = Weights::open(argv[2]);
  if (!weights)
    return fail(weights.error());
  auto session = Session::create(*artifact, *weights, {.capacity = 256});
  if (!session)
    return fail(session.error());
  auto sampler = Sampler::create({});
  if (!sampler)
    return fail(sampler.error());

  std::vector<int32_t> tokens;
  for (int i = 3; i != argc; ++i) {
    std::string_view word = argv[i];
    auto [end, code] = std::from_chars(word.data(), word.data() + word.size(),
                                       tokens.emplace_back());
    if (code != std::errc() || end != word.data() + word.size())
      return fail({"'" + std::string(word) + "' vs a token id"});
  }
  const std::vector<int32_t> &ends = artifact->manifest().model.endTokens;
  for (int i = 0; i != 16; ++i) {
    // The first step takes the prompt, every other one the last token.
    auto fresh = std::span(tokens).subspan(session->length());
    auto rows = session->step(fresh, session->length());
    if (!rows)
      return fail(rows.error());
    auto token = sampler->next(rows->row(0));
    if (!token)
      return fail(token.error());
    if (std::ranges::count(ends, *token))
      break;
    std::cout << *token << std::endl;
    if (!std::cout)
      return fail({"cannot write to stdout"});
    tokens.push_back(*token);
  }
}
