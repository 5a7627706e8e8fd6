#include "Utf8.h"

#include <cstdlib>
#include <utf8proc.h>

using namespace rshard::tokenizer;
using rshard::tokenset::Error;
using rshard::tokenset::Expected;

namespace {

enum class Sequence { Complete, Incomplete, Invalid };

struct Scan {
  Sequence kind;
  size_t length; // bytes of the sequence, or of its maximal valid prefix (at
                 // least 1)
};

/// Reads one sequence at the start of `text` (Unicode, table 3-7).
Scan scan(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  if (first < 0x80)
    return {Sequence::Complete, 1};
  if (first < 0xC2 || first > 0xF4)
    return {Sequence::Invalid, 1};
  size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  // The second byte excludes overlong forms, surrogates and what lies beyond
  // U+10FFFF.
  unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  for (size_t i = 1; i < length; ++i, low = 0x80, high = 0xBF) {
    if (i == text.size())
      return {Sequence::Incomplete, i};
    if (byte(i) < low || byte(i) > high)
      return {Sequence::Invalid, i};
  }
  return {Sequence::Complete, length};
}

constexpr std::string_view replacement = "\xEF\xBF\xBD";

} // namespace

size_t rshard::tokenizer::validPrefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    Scan next = scan(text.substr(at));
    if (next.kind != Sequence::Complete)
      break;
    at += next.length;
  }
  return at;
}

std::string rshard::tokenizer::encodeCodePoint(char32_t codePoint) {
  utf8proc_uint8_t bytes[4];
  auto length =
      utf8proc_encode_char(static_cast<utf8proc_int32_t>(codePoint), bytes);
  return std::string(reinterpret_cast<const char *>(bytes),
                     static_cast<size_t>(length));
}

char32_t rshard::tokenizer::takeCodePoint(std::string_view &text) {
  utf8proc_int32_t codePoint = 0;
  auto length =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                       static_cast<utf8proc_ssize_t>(text.size()), &codePoint);
  text.remove_prefix(static_cast<size_t>(length));
  return static_cast<char32_t>(codePoint);
}

Expected<std::string> rshard::tokenizer::composed(std::string_view text) {
  utf8proc_uint8_t *result = nullptr;
  auto size = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
      static_cast<utf8proc_ssize_t>(text.size()), &result,
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (size < 0)
    return Error{std::string("cannot normalise the text: ") +
                 utf8proc_errmsg(size)};
  std::string composition(reinterpret_cast<const char *>(result),
                          static_cast<size_t>(size));
  std::free(result);
  return composition;
}

std::string LossyStream::append(std::string_view bytes) {
  held += bytes;
  std::string text;
  std::string_view rest = held;
  while (!rest.empty()) {
    Scan next = scan(rest);
    if (next.kind == Sequence::Incomplete)
      break;
    text += next.kind == Sequence::Complete ? rest.substr(0, next.length)
                                            : replacement;
    rest.remove_prefix(next.length);
  }
  held = std::string(rest);
  return text;
}

std::string LossyStream::finish() {
  std::string text(held.empty() ? "" : replacement);
  held.clear();
  return text;
}
