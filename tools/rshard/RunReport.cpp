//===- RunReport.cpp - what a run says ------------------------------------===//

#include "RunReport.h"
#include "Count.h"
#include "Output.h"
#include "rshard/tokenset/Views.h"
#include <cstdio>
#include <nlohmann/json.hpp>

using namespace rshard;
using namespace rshard::tool;
using nlohmann::json;

RunReport::RunReport(const runtime::Session &session, const Prompt &prompt,
                     bool json)
    : session(session), prompt(prompt), json(json) {
  if (prompt.tokenizer)
    text.emplace(*prompt.tokenizer);
}

bool RunReport::stream(int32_t token) {
  if (json)
    return true;
  if (text)
    llvm::outs() << text->append(token);
  else
    llvm::outs() << (first ? "" : ",") << token;
  first = false;
  return flushStandardOutput();
}

/// Bytes that crossed between ranks, by exchange.
static std::vector<uint64_t> sumBytes(const runtime::Session &session) {
  std::vector<uint64_t> bytes(session.manifest().exchanges.size());
  for (const runtime::EdgeCount &edge : session.counts())
    bytes[size_t(edge.exchange)] += edge.sentBytes;
  return bytes;
}

void RunReport::printStats(const Generation &generation) const {
  int64_t made = int64_t(generation.tokens.size()) - generation.promptLength;
  std::fprintf(stderr, "prompt: %lld tokens in %.3f s (%.1f tokens/s)\n",
               static_cast<long long>(generation.promptLength),
               generation.promptSeconds,
               double(generation.promptLength) / generation.promptSeconds);
  if (made)
    std::fprintf(stderr,
                 "continuation: %lld tokens in %.3f s (%.1f tokens/s)\n",
                 static_cast<long long>(made), generation.tokenSeconds,
                 double(made) / generation.tokenSeconds);
  std::fprintf(stderr,
               "memory: %.1f MB of buffers on %s, %.1f MB of packed weights; "
               "%s\n",
               double(session.arenaBytes()) / 1e6,
               count(session.ranks(), "rank").c_str(),
               double(session.packedBytes()) / 1e6,
               count(runtime::threads(), "thread").c_str());
  std::vector<uint64_t> bytes = sumBytes(session);
  for (size_t i = 0; i < bytes.size(); ++i)
    std::fprintf(stderr, "%s: %llu bytes between ranks\n",
                 session.manifest().exchanges[i].name.c_str(),
                 static_cast<unsigned long long>(bytes[i]));
}

void RunReport::printJson(const Generation &generation,
                          const std::string &views) const {
  ::json out = {{"tokens", generation.tokens},
                {"prompt_tokens", generation.promptLength},
                {"views", views},
                {"prompt_seconds", generation.promptSeconds},
                {"token_seconds", generation.tokenSeconds},
                {"ranks", session.ranks()},
                {"arena_bytes", session.arenaBytes()},
                {"packed_bytes", session.packedBytes()}};
  if (prompt.tokenizer) {
    std::span<const int32_t> all(generation.tokens);
    out["text"] = prompt.tokenizer->decode(all);
    out["continuation"] =
        prompt.tokenizer->decode(all.subspan(size_t(generation.promptLength)));
  }
  std::vector<uint64_t> bytes = sumBytes(session);
  for (size_t i = 0; i < bytes.size(); ++i)
    out["bytes"][session.manifest().exchanges[i].name] = bytes[i];
  llvm::outs() << out.dump() << "\n";
}

void RunReport::finish(const Generation &generation, bool stats) {
  std::string views;
  auto plan = tokenset::parsePlan(session.manifest().plan);
  if (plan)
    if (auto summary = tokenset::summarizeViews(*plan, session.length()))
      views = tokenset::describe(*plan, *summary);
  if (json) {
    printJson(generation, views);
  } else {
    if (text)
      llvm::outs() << text->finish();
    if (!first)
      llvm::outs() << "\n";
  }
  flushStandardOutput(); // what is said on a terminal comes behind the text
  std::fprintf(stderr, "%s\n", views.c_str());
  if (stats)
    printStats(generation);
}
