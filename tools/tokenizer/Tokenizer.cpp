#include "Tokenizer.h"

#include <algorithm>
#include <deque>

using namespace rshard::tokenizer;
using rshard::tokenset::Error;
using rshard::tokenset::Expected;

namespace {

/// Unicode's White_Space.
bool isSpace(char32_t c) {
  return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/// Bytes of white space at the end of `text`.
size_t spaceAtEnd(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t start = end - 1;
    while ((static_cast<unsigned char>(text[start]) & 0xC0) == 0x80)
      --start;
    std::string_view last = text.substr(start, end - start);
    if (!isSpace(takeCodePoint(last)))
      break;
    end = start;
  }
  return text.size() - end;
}

/// Bytes of white space at the start of `text`.
size_t spaceAtStart(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view tail = rest;
    if (!isSpace(takeCodePoint(tail)))
      break;
    rest = tail;
  }
  return text.size() - rest.size();
}

} // namespace

Expected<Tokenizer> Tokenizer::load(const std::string &path) {
  auto parts = readTokenizer(path);
  if (!parts)
    return parts.error();
  return Tokenizer(std::move(*parts));
}

/// Leftmost match first, and of several at one place the longest.
std::vector<Tokenizer::Fragment> Tokenizer::cutAtAdded(std::string_view text,
                                                       bool normalized) const {
  std::vector<const AddedToken *> sought;
  for (const AddedToken &token : parts.added)
    if (token.normalized == normalized)
      sought.push_back(&token);
  std::vector<Fragment> fragments;
  if (sought.empty()) {
    fragments.push_back({text, -1});
    return fragments;
  }
  // Looking at every token only where one may start keeps this linear in the
  // text.
  std::string firstBytes;
  for (const AddedToken *token : sought)
    firstBytes += token->content[0];
  size_t done = 0, at = 0;
  while ((at = text.find_first_of(firstBytes, at)) != std::string_view::npos) {
    const AddedToken *best = nullptr;
    for (const AddedToken *token : sought)
      if (text.substr(at).starts_with(token->content) &&
          (!best || token->content.size() > best->content.size()))
        best = token;
    if (!best) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + best->content.size();
    if (best->stripLeft)
      begin = std::max(done, begin - spaceAtEnd(text.substr(0, begin)));
    if (best->stripRight)
      end += spaceAtStart(text.substr(end));
    if (begin > done)
      fragments.push_back({text.substr(done, begin - done), -1});
    fragments.push_back({text.substr(begin, end - begin), best->id});
    done = at = end;
  }
  if (done < text.size())
    fragments.push_back({text.substr(done), -1});
  return fragments;
}

Expected<void> Tokenizer::encodePlain(std::string_view text,
                                      std::vector<int32_t> &ids) const {
  if (text.empty()) // would otherwise get a prefix
    return {};
  std::vector<std::string_view> pieces = {text};
  std::deque<std::string> prefixed; // owns the pieces that got a space
  for (const PreTokenizeStep &step : parts.steps) {
    std::vector<std::string_view> next;
    for (std::string_view piece : pieces) {
      const SplitStep *split = std::get_if<SplitStep>(&step);
      if (!split) {
        next.push_back(piece.starts_with(' ')
                           ? piece
                           : std::string_view(prefixed.emplace_back(
                                 " " + std::string(piece))));
        continue;
      }
      auto cut = split->pattern.cut(piece);
      if (!cut)
        return cut.error();
      for (const Piece &part : *cut)
        if (!(part.matched ? split->dropMatches : split->dropRest))
          next.push_back(part.text);
    }
    pieces = std::move(next);
  }
  for (std::string_view piece : pieces)
    parts.model.encode(piece, ids);
  return {};
}

Expected<std::vector<int32_t>> Tokenizer::encode(std::string_view text) const {
  if (size_t valid = validPrefix(text); valid != text.size())
    return Error{"the text is not valid UTF-8 at byte " +
                 std::to_string(valid)};
  std::vector<int32_t> ids = parts.before;
  for (const Fragment &raw : cutAtAdded(text, false)) {
    if (raw.id >= 0) {
      ids.push_back(raw.id);
      continue;
    }
    std::string composition;
    std::string_view plain = raw.text;
    if (parts.compose) {
      auto normal = composed(raw.text);
      if (!normal)
        return normal.error();
      composition = std::move(*normal);
      plain = composition;
    }
    for (const Fragment &fragment : cutAtAdded(plain, true)) {
      if (fragment.id >= 0)
        ids.push_back(fragment.id);
      else if (auto done = encodePlain(fragment.text, ids); !done)
        return done.error();
    }
  }
  ids.insert(ids.end(), parts.after.begin(), parts.after.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids,
                              bool keepSpecial) const {
  Stream stream(*this, keepSpecial);
  std::string text;
  for (int32_t id : ids)
    text += stream.append(id);
  return text + stream.finish();
}

std::string Tokenizer::Stream::append(int32_t id) {
  auto found = tokenizer->parts.bytes.find(id);
  if (found == tokenizer->parts.bytes.end() ||
      (!keepSpecial && tokenizer->parts.special.contains(id)))
    return {};
  return text.append(found->second);
}
