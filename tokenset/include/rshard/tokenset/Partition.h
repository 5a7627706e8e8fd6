// A family of token sets that owns every position exactly once (C1).

#ifndef RSHARD_TOKENSET_PARTITION_H
#define RSHARD_TOKENSET_PARTITION_H

#include "rshard/tokenset/TokenSet.h"

namespace rshard::tokenset {

/// A partition of all positions, or of [0, limit()) if every set is finite.
/// Sets may be empty.
class Partition {
public:
  /// No sets; owns nothing.
  Partition() = default;

  /// Checks C1; the error names the first position that is owned zero or two
  /// times. `name` (R, S or T) is used in messages.
  static Expected<Partition> create(std::string name,
                                    std::vector<TokenSet> sets);
  /// Position p belongs to set p mod `count`.
  static Expected<Partition> roundRobin(std::string name, int64_t count);

  const std::string &name() const { return label; }
  int32_t size() const { return static_cast<int32_t>(members.size()); }
  const std::vector<TokenSet> &sets() const { return members; }
  const TokenSet &operator[](int32_t index) const { return members[index]; }
  bool operator==(const Partition &other) const {
    return members == other.members;
  }

  /// The number of positions that are owned; kNever: all.
  Position limit() const { return end; }

  /// The set that owns p + delta, -1 beyond the limit. O(log runs).
  int32_t owner(Position p, int64_t delta = 0) const;

  /// The partition whose owner(p) is this one's owner(p + delta), delta >= 0.
  Partition shifted(int64_t delta) const;

  /// Calls fn(begin, end, owner) for the owned runs of [begin, end), ascending.
  template <typename Fn>
  void forEachPiece(Position begin, Position stop, Fn &&fn) const;

private:
  struct Piece {
    Position begin; // it ends where the next one begins
    int32_t owner;
  };
  size_t pieceAt(Position p) const;
  Position wrap(Position p) const;
  Expected<void> tabulate();

  std::string label;
  std::vector<TokenSet> members;
  // One period beyond the common horizon: [0, horizon + period); a sentinel
  // ends it. A finite family has period 0.
  std::vector<Piece> pieces;
  Position horizon = 0;
  int64_t period = 0;
  Position end = 0;
};

template <typename Fn>
void Partition::forEachPiece(Position begin, Position stop, Fn &&fn) const {
  stop = std::min(stop, end);
  if (begin >= stop)
    return;
  Position base = begin - wrap(begin);
  for (size_t i = pieceAt(begin - base); begin < stop; ++i) {
    if (i + 1 == pieces.size()) { // the sentinel: start the period again
      i = pieceAt(horizon);
      base = begin - horizon;
    }
    Position last = std::min(base + pieces[i + 1].begin, stop);
    fn(begin, last, pieces[i].owner);
    begin = last;
  }
}

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_PARTITION_H
