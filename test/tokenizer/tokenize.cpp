// The tokenizer as a filter, for comparison with PyPI tokenizers
// (test_tokenizer.py).
//
// usage: tokenize TOKENIZER.JSON
//
// Every line of stdin is a JSON value and gets one line of JSON on stdout. A
// string is encoded: its ids, or {"error": message}. A list of ids is decoded:
// {"text", "kept", "streamed"}, without and with special tokens, and the pieces
// of a stream.

#include "tokenizer/Tokenizer.h"

#include <iostream>
#include <nlohmann/json.hpp>

using namespace rshard::tokenizer;
using nlohmann::json;

namespace {

json answer(const Tokenizer &tokenizer, const json &question) {
  if (question.is_string()) {
    auto ids = tokenizer.encode(question.get<std::string>());
    return ids ? json(*ids) : json{{"error", ids.error().message}};
  }
  auto ids = question.get<std::vector<int32_t>>();
  Tokenizer::Stream stream(tokenizer);
  std::vector<std::string> pieces;
  for (int32_t id : ids)
    pieces.push_back(stream.append(id));
  pieces.push_back(stream.finish());
  return {{"text", tokenizer.decode(ids)},
          {"kept", tokenizer.decode(ids, true)},
          {"streamed", pieces}};
}

} // namespace

int main(int count, char **arguments) {
  if (count != 2) {
    std::cerr << "usage: tokenize TOKENIZER.JSON\n";
    return 2;
  }
  auto tokenizer = Tokenizer::load(arguments[1]);
  if (!tokenizer) {
    std::cerr << "error: " << tokenizer.error().message << '\n';
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(*tokenizer, json::parse(line)).dump() << '\n';
}
