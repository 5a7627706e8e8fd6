#include "BytePairs.h"
#include "Utf8.h"

#include <queue>

using namespace rshard::tokenizer;
using rshard::tokenset::Error;
using rshard::tokenset::Expected;

namespace {

/// The character that stands for each byte: itself if it prints, otherwise the
/// next free one from U+0100.
std::array<char32_t, 256> byteAlphabet() {
  std::array<char32_t, 256> characters;
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    bool prints = (byte >= '!' && byte <= '~') ||
                  (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    characters[byte] = prints ? char32_t(byte) : next++;
  }
  return characters;
}

const std::array<char32_t, 256> alphabet = byteAlphabet();

/// -1 for a character outside the alphabet, which ends at U+0143.
int byteOf(char32_t character) {
  static const std::array<int16_t, 0x144> bytes = [] {
    std::array<int16_t, 0x144> table;
    table.fill(-1);
    for (unsigned byte = 0; byte < 256; ++byte)
      table[alphabet[byte]] = int16_t(byte);
    return table;
  }();
  return character < bytes.size() ? bytes[character] : -1;
}

} // namespace

std::optional<std::string> rshard::tokenizer::bytesOf(std::string_view token) {
  std::string bytes;
  while (!token.empty()) {
    int byte = byteOf(takeCodePoint(token));
    if (byte < 0)
      return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

Expected<BytePairs> BytePairs::create(
    const std::unordered_map<std::string, int32_t> &vocabulary,
    const std::vector<std::pair<std::string, std::string>> &merges,
    BytePairOptions options) {
  BytePairs model;
  model.options = options;
  for (unsigned byte = 0; byte < 256; ++byte) {
    auto found = vocabulary.find(encodeCodePoint(alphabet[byte]));
    model.byteToken[byte] = found == vocabulary.end() ? -1 : found->second;
  }
  model.pairs.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto &[left, right] = merges[rank];
    int32_t ids[3];
    const std::string *names[3] = {&left, &right, nullptr};
    std::string joined = left + right;
    names[2] = &joined;
    for (int i = 0; i < 3; ++i) {
      auto found = vocabulary.find(*names[i]);
      if (found == vocabulary.end())
        return Error{"merge " + std::to_string(rank) + " ('" + left + "' + '" +
                     right + "'): '" + *names[i] +
                     "' is not in the vocabulary"};
      ids[i] = found->second;
    }
    model.pairs.insert_or_assign(key(ids[0], ids[1]),
                                 Merge{int32_t(rank), ids[2]});
  }
  if (options.ignoreMerges)
    for (const auto &[token, id] : vocabulary)
      if (auto bytes = bytesOf(token))
        model.words.emplace(*bytes, id);
  return model;
}

const BytePairs::Merge *BytePairs::find(int32_t left, int32_t right) const {
  auto found = pairs.find(key(left, right));
  return found == pairs.end() ? nullptr : &found->second;
}

void BytePairs::encode(std::string_view word, std::vector<int32_t> &ids) const {
  if (options.ignoreMerges)
    if (auto found = words.find(std::string(word)); found != words.end()) {
      ids.push_back(found->second);
      return;
    }
  struct Symbol {
    int32_t id; // -1: merged into an earlier one
    int32_t previous, next;
  };
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  bool unknownRun = false;
  for (unsigned char byte : word) {
    int32_t id = byteToken[byte];
    bool unknown = id < 0;
    if (unknown && (!options.unknown || (unknownRun && options.fuseUnknown)))
      continue;
    unknownRun = unknown;
    int32_t position = int32_t(symbols.size());
    symbols.push_back(
        {unknown ? *options.unknown : id, position - 1, position + 1});
  }
  if (symbols.empty())
    return;
  symbols.back().next = -1;

  // The best rank first, and of equal ones the leftmost; entries that a merge
  // has made stale are recognised when they come up.
  struct Candidate {
    int32_t rank, left, result;
    bool operator<(const Candidate &other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  std::priority_queue<Candidate> queue;
  auto offer = [&](int32_t left) {
    if (left < 0 || symbols[left].next < 0)
      return;
    if (const Merge *merge =
            find(symbols[left].id, symbols[symbols[left].next].id))
      queue.push({merge->rank, left, merge->result});
  };
  for (int32_t i = 0; i < int32_t(symbols.size()); ++i)
    offer(i);
  while (!queue.empty()) {
    Candidate best = queue.top();
    queue.pop();
    Symbol &left = symbols[best.left];
    if (left.id < 0 || left.next < 0)
      continue;
    Symbol &right = symbols[left.next];
    const Merge *merge = find(left.id, right.id);
    if (!merge || merge->rank != best.rank)
      continue;
    left.id = best.result;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0)
      symbols[left.next].previous = best.left;
    offer(left.previous);
    offer(best.left);
  }
  for (int32_t i = 0; i >= 0; i = symbols[i].next)
    ids.push_back(symbols[i].id);
}
