// UTF-8 at the edges of the tokenizer: validation, composition, and lossy
// reading of a stream.

#ifndef RSHARD_TOKENIZER_UTF8_H
#define RSHARD_TOKENIZER_UTF8_H

#include "rshard/tokenset/Expected.h"
#include <string>
#include <string_view>

namespace rshard::tokenizer {

/// The length of the valid UTF-8 prefix of `text`, in bytes; text.size() if all
/// of it is valid.
size_t validPrefix(std::string_view text);

/// The Unicode code point in UTF-8, one to four bytes.
std::string encodeCodePoint(char32_t codePoint);

/// Takes the first code point off `text`, which must be valid and not empty.
char32_t takeCodePoint(std::string_view &text);

/// Normalisation form C of valid UTF-8.
tokenset::Expected<std::string> composed(std::string_view text);

/// Turns bytes that arrive in pieces into valid UTF-8. Every maximal invalid
/// sequence becomes U+FFFD; a sequence that a later piece may complete is held
/// back. The pieces' texts, joined, are those of all the bytes at once.
class LossyStream {
public:
  std::string append(std::string_view bytes);

  /// What the held bytes are worth once nothing follows: U+FFFD or nothing.
  std::string finish();

private:
  std::string held;
};

} // namespace rshard::tokenizer

#endif // RSHARD_TOKENIZER_UTF8_H
