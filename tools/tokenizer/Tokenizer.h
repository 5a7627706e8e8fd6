// Text to token ids and back, as tokenizer.json of a Hugging Face model
// describes it. Only the command line uses it: nodes see ids or rows.

#ifndef RSHARD_TOKENIZER_TOKENIZER_H
#define RSHARD_TOKENIZER_TOKENIZER_H

#include "BytePairs.h"
#include "Pattern.h"
#include "Utf8.h"
#include "rshard/tokenset/Expected.h"
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

namespace rshard::tokenizer {

/// A token that is found in the text before anything else splits it.
struct AddedToken {
  std::string content;
  int32_t id;
  bool stripLeft;  // takes the white space before it along
  bool stripRight; // and after it
  bool normalized; // is looked for in the normalised text
};

/// A step of the pre-tokenizer: cuts every piece of the text further.
struct SplitStep {
  Pattern pattern;
  bool dropMatches = false; // instead of keeping them as pieces of their own
  bool dropRest = false;
};
struct PrefixStep {}; // a space before every piece that has none
using PreTokenizeStep = std::variant<SplitStep, PrefixStep>;

/// What tokenizer.json says, read and checked (TokenizerFile.cpp).
struct TokenizerParts {
  std::vector<AddedToken> added;
  std::unordered_set<int32_t> special; // ids that decoding leaves out
  bool compose = false;                // normalise to form C
  std::vector<PreTokenizeStep> steps;
  BytePairs model;
  std::unordered_map<int32_t, std::string> bytes; // what each id stands for
  std::vector<int32_t> before, after; // around every text, e.g. begin of text
};

/// Reads tokenizer.json: byte-level BPE. Errors name what is missing, damaged
/// or not supported.
tokenset::Expected<TokenizerParts> readTokenizer(const std::string &path);

class Tokenizer {
public:
  /// `path` names a tokenizer.json.
  static tokenset::Expected<Tokenizer> load(const std::string &path);

  /// The ids of the text, with the tokens that the model wants around it.
  /// Error: the text is not valid UTF-8.
  tokenset::Expected<std::vector<int32_t>> encode(std::string_view text) const;

  /// The text of the ids. Special tokens are left out, unless asked for, and
  /// so are ids that the tokenizer does not know. Bytes that are not UTF-8
  /// become U+FFFD.
  std::string decode(std::span<const int32_t> ids,
                     bool keepSpecial = false) const;

  /// Decodes ids one at a time: the texts of all calls and of finish(), joined,
  /// are decode() of all ids. The tokenizer must outlive the stream.
  class Stream {
  public:
    explicit Stream(const Tokenizer &tokenizer, bool keepSpecial = false)
        : tokenizer(&tokenizer), keepSpecial(keepSpecial) {}
    std::string append(int32_t id);
    std::string finish() { return text.finish(); }

  private:
    const Tokenizer *tokenizer;
    bool keepSpecial;
    LossyStream text;
  };

private:
  struct Fragment {
    std::string_view text;
    int32_t id; // of an added token, or -1
  };
  explicit Tokenizer(TokenizerParts parts) : parts(std::move(parts)) {}
  std::vector<Fragment> cutAtAdded(std::string_view text,
                                   bool normalized) const;
  tokenset::Expected<void> encodePlain(std::string_view text,
                                       std::vector<int32_t> &ids) const;

  TokenizerParts parts;
};

} // namespace rshard::tokenizer

#endif // RSHARD_TOKENIZER_TOKENIZER_H
