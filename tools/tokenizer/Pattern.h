// A regular expression over Unicode text, as tokenizer.json writes them.

#ifndef RSHARD_TOKENIZER_PATTERN_H
#define RSHARD_TOKENIZER_PATTERN_H

#include "rshard/tokenset/Expected.h"
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;

namespace rshard::tokenizer {

/// A piece of a text and whether the pattern matched it.
struct Piece {
  std::string_view text;
  bool matched;
};

/// Classes such as \p{L} are those of Unicode 14, the version of the library:
/// characters first assigned later count as neither letters nor digits.
class Pattern {
public:
  /// Compiles the expression. An error names the position in it.
  static tokenset::Expected<Pattern> compile(std::string_view expression);

  /// Cuts valid UTF-8 into matches and what lies between them, in order and
  /// without empty pieces. The pieces point into `text`.
  tokenset::Expected<std::vector<Piece>> cut(std::string_view text) const;

private:
  explicit Pattern(std::shared_ptr<const pcre2_real_code_8> code)
      : code(std::move(code)) {}
  std::shared_ptr<const pcre2_real_code_8> code;
};

} // namespace rshard::tokenizer

#endif // RSHARD_TOKENIZER_PATTERN_H
