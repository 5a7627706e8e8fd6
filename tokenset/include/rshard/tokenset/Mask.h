// Which keys a query may see, by global position (C4).

#ifndef RSHARD_TOKENSET_MASK_H
#define RSHARD_TOKENSET_MASK_H

#include "rshard/tokenset/TokenSet.h"

namespace rshard::tokenset {

enum class MaskKind { Full, Causal, Window };

/// An attention mask. The layers of a model use few distinct ones; their index
/// in the model's list is the mask class.
struct Mask {
  MaskKind kind = MaskKind::Causal;
  /// Window only: a query sees itself and the window - 1 positions before it.
  int64_t window = 0;

  static Mask full() { return {MaskKind::Full, 0}; }
  static Mask causal() { return {MaskKind::Causal, 0}; }
  static Mask windowed(int64_t window) { return {MaskKind::Window, window}; }

  bool operator==(const Mask &) const = default;

  bool visible(Position query, Position key) const {
    if (kind == MaskKind::Full)
      return true;
    return key <= query && (kind == MaskKind::Causal || query - key < window);
  }

  /// A mask that is the same below `capacity`: a window that is never full is
  /// a causal mask.
  Mask below(Position capacity) const {
    return kind == MaskKind::Window && window >= capacity ? causal() : *this;
  }

  /// The smallest key position that `query` sees.
  Position firstKey(Position query) const {
    return kind == MaskKind::Window ? std::max<Position>(0, query - window + 1)
                                    : 0;
  }
  /// The first query position at or after which no query below `capacity` sees
  /// `key`.
  Position endOfQueries(Position key, Position capacity) const {
    // Windows reach to the end of int64_t: their sum with a key may overflow.
    return kind == MaskKind::Window && window < capacity - key ? key + window
                                                               : capacity;
  }
};

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_MASK_H
