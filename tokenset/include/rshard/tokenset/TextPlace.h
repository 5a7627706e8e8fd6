// Where in a text a reader stopped, as editors count.

#ifndef RSHARD_TOKENSET_TEXTPLACE_H
#define RSHARD_TOKENSET_TEXTPLACE_H

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace rshard::tokenset {

/// Both from 1; columns are bytes.
struct TextPlace {
  size_t line, column;
};

/// The place behind the first `bytes` of a text, or its end.
inline TextPlace placeBehind(std::string_view text, size_t bytes) {
  std::string_view before = text.substr(0, bytes);
  auto line =
      static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
  // npos + 1 is 0: the first line begins with the text.
  return {line + 1, before.size() - (before.rfind('\n') + 1) + 1};
}

/// `line 2, column 5`.
inline std::string describe(TextPlace place) {
  return "line " + std::to_string(place.line) + ", column " +
         std::to_string(place.column);
}

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_TEXTPLACE_H
