// Byte-level byte-pair encoding of one word.

#ifndef RSHARD_TOKENIZER_BYTEPAIRS_H
#define RSHARD_TOKENIZER_BYTEPAIRS_H

#include "rshard/tokenset/Expected.h"
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rshard::tokenizer {

/// The bytes that a token's text stands for in the byte-level alphabet of
/// GPT-2, or nothing if it has another character.
std::optional<std::string> bytesOf(std::string_view token);

struct BytePairOptions {
  std::optional<int32_t>
      unknown; // of a byte without a token; without it such a byte is dropped
  bool fuseUnknown = false;  // one unknown token for a run of such bytes
  bool ignoreMerges = false; // a word that is a token is that token
};

class BytePairs {
public:
  /// `vocabulary` maps a token's text to its id, `merges` are pairs of tokens'
  /// texts, best first. Errors: a merge that names no token.
  static tokenset::Expected<BytePairs>
  create(const std::unordered_map<std::string, int32_t> &vocabulary,
         const std::vector<std::pair<std::string, std::string>> &merges,
         BytePairOptions options);

  /// Appends the ids of a word, given as raw bytes.
  void encode(std::string_view word, std::vector<int32_t> &ids) const;

private:
  struct Merge {
    int32_t rank;
    int32_t result;
  };
  static uint64_t key(int32_t left, int32_t right) {
    return uint64_t(uint32_t(left)) << 32 | uint32_t(right);
  }
  const Merge *find(int32_t left, int32_t right) const;

  BytePairOptions options;
  std::array<int32_t, 256> byteToken = {}; // -1: none
  std::unordered_map<uint64_t, Merge> pairs;
  std::unordered_map<std::string, int32_t>
      words; // by raw bytes; filled for ignoreMerges alone
};

} // namespace rshard::tokenizer

#endif // RSHARD_TOKENIZER_BYTEPAIRS_H
