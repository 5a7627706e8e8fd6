//===- Prompt.cpp - the tokens that a run starts with ---------------------===//

#include "Prompt.h"
#include "rshard/runtime/Npy.h"
#include "llvm/Support/raw_ostream.h"
#include <charconv>
#include <filesystem>

using namespace rshard;
using namespace rshard::tool;

static tokenset::Expected<std::vector<int32_t>>
readTokens(const std::string &text) {
  if (text.ends_with(".npy"))
    return runtime::readNpyIntegers(text);
  std::vector<int32_t> tokens;
  const char *at = text.data(), *end = at + text.size();
  while (true) {
    int32_t token = 0;
    auto [next, code] = std::from_chars(at, end, token);
    if (code != std::errc() || (next != end && *next != ','))
      return tokenset::Error{"'" + std::string(at, end) +
                             "' vs token ids like 1,2,3 or a .npy file"};
    tokens.push_back(token);
    if (next == end)
      return tokens;
    at = next + 1;
  }
}

std::string rshard::tool::checkTokens(const std::string &ids) {
  if (ids.ends_with(".npy"))
    return "";
  auto tokens = readTokens(ids);
  return tokens ? "" : tokens.error().message;
}

tokenset::Expected<Prompt>
rshard::tool::readPrompt(const std::optional<std::string> &text,
                         const std::optional<std::string> &ids,
                         const std::string &directory) {
  Prompt prompt;
  std::string path =
      (std::filesystem::path(directory) / "tokenizer.json").string();
  if (!text) {
    auto tokens = readTokens(*ids);
    if (!tokens)
      return tokens.error();
    prompt.tokens = std::move(*tokens);
    if (prompt.tokens.empty())
      return tokenset::Error{"--tokens: no token"};
    std::error_code code;
    if (!std::filesystem::exists(path, code))
      return prompt;
    if (auto tokenizer = tokenizer::Tokenizer::load(path))
      prompt.tokenizer = std::move(*tokenizer);
    else
      llvm::errs() << "note: " << tokenizer.error().message
                   << ": ids are printed instead of text\n";
    return prompt;
  }
  auto tokenizer = tokenizer::Tokenizer::load(path);
  if (!tokenizer)
    return tokenset::Error{tokenizer.error().message +
                           "; --tokens takes ids instead of text"};
  auto tokens = tokenizer->encode(*text);
  if (!tokens)
    return tokenset::Error{"--prompt: " + tokens.error().message};
  if (tokens->empty())
    return tokenset::Error{"--prompt: no token in '" + *text + "'"};
  prompt.tokens = std::move(*tokens);
  prompt.tokenizer = std::move(*tokenizer);
  return prompt;
}
