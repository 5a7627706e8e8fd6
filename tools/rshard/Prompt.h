//===- Prompt.h - the tokens that a run starts with -------------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_PROMPT_H
#define RSHARD_TOOLS_RSHARD_PROMPT_H

#include "rshard/tokenset/Expected.h"
#include "tokenizer/Tokenizer.h"
#include <optional>

namespace rshard::tool {

struct Prompt {
  std::vector<int32_t> tokens;
  /// Of the model's directory: for text prompts, and for token prompts if it is
  /// there; one that cannot be read is then said on stderr.
  std::optional<tokenizer::Tokenizer> tokenizer;
};

/// What is wrong with token ids, or nothing; a .npy file is not opened.
std::string checkTokens(const std::string &ids);

/// `text`: a prompt to be encoded by tokenizer.json in `directory`. `ids`:
/// `1,2,3`, or a .npy file of integers. Exactly one of them is given.
tokenset::Expected<Prompt> readPrompt(const std::optional<std::string> &text,
                                      const std::optional<std::string> &ids,
                                      const std::string &directory);

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_PROMPT_H
