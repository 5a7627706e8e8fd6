#include "Pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

using namespace rshard::tokenizer;
using rshard::tokenset::Error;
using rshard::tokenset::Expected;

namespace {

std::string errorText(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char *>(text);
}

/// tokenizer.json's expressions are written for Oniguruma. There \s is
/// Unicode's White_Space, to which PCRE2's \s adds U+180E.
std::string translated(std::string_view expression) {
  std::string result;
  for (size_t i = 0; i < expression.size(); ++i) {
    bool escape = expression[i] == '\\' && i + 1 < expression.size();
    if (escape && expression[i + 1] == 's')
      result += "\\p{White_Space}";
    else if (escape && expression[i + 1] == 'S')
      result += "\\P{White_Space}";
    else
      result += expression.substr(i, escape ? 2 : 1);
    i += escape;
  }
  return result;
}

/// What Oniguruma reads otherwise and no model's pattern needs, or nothing:
/// words (its \w has marks) and intersections of classes.
std::string_view foreign(std::string_view expression) {
  for (size_t i = 0; i + 1 < expression.size(); ++i) {
    std::string_view two = expression.substr(i, 2);
    if (two == "\\w" || two == "\\W" || two == "\\b" || two == "\\B" ||
        two == "&&")
      return two;
    i += two[0] == '\\';
  }
  return {};
}

struct MatchDelete {
  void operator()(pcre2_match_data *data) const { pcre2_match_data_free(data); }
};

} // namespace

Expected<Pattern> Pattern::compile(std::string_view expression) {
  if (std::string_view construct = foreign(expression); !construct.empty())
    return Error{"the pattern '" + std::string(expression) + "' uses " +
                 std::string(construct) + ", which is not supported"};
  std::string text = translated(expression);
  int code = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code *compiled =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                    PCRE2_UTF | PCRE2_UCP, &code, &offset, nullptr);
  if (!compiled)
    return Error{"cannot read the pattern '" + text + "' at offset " +
                 std::to_string(offset) + ": " + errorText(code)};
  pcre2_jit_compile(compiled,
                    PCRE2_JIT_COMPLETE); // only faster: matching works without
  return Pattern(
      std::shared_ptr<const pcre2_code>(compiled, [](const pcre2_code *code) {
        pcre2_code_free(const_cast<pcre2_code *>(code));
      }));
}

Expected<std::vector<Piece>> Pattern::cut(std::string_view text) const {
  std::unique_ptr<pcre2_match_data, MatchDelete> match(
      pcre2_match_data_create(1, nullptr));
  std::vector<Piece> pieces;
  size_t done = 0; // everything before is in a piece
  size_t from = 0;
  while (from < text.size()) {
    int count = pcre2_match(
        code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
        from, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, match.get(), nullptr);
    if (count == PCRE2_ERROR_NOMATCH)
      break;
    if (count < 0)
      return Error{"cannot split the text at byte " + std::to_string(from) +
                   ": " + errorText(count)};
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match.get());
    if (range[0] > done)
      pieces.push_back({text.substr(done, range[0] - done), false});
    pieces.push_back({text.substr(range[0], range[1] - range[0]), true});
    done = from = range[1];
  }
  if (done < text.size())
    pieces.push_back({text.substr(done), false});
  return pieces;
}
