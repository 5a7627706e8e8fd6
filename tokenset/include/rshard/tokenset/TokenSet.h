// Sets of token positions as runs: finite below a horizon, periodic above it.

#ifndef RSHARD_TOKENSET_TOKENSET_H
#define RSHARD_TOKENSET_TOKENSET_H

#include "rshard/tokenset/Expected.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace rshard::tokenset {

/// A global token position; valid ones start at 0.
using Position = int64_t;

/// What a search returns that finds nothing.
inline constexpr Position kNever = std::numeric_limits<Position>::max();

/// The largest period, also of a combination of two sets.
inline constexpr int64_t kPeriodLimit = int64_t(1) << 24;

/// The most runs that a combination of two sets may need.
inline constexpr int64_t kRunLimit = int64_t(1) << 20;

/// The positions begin <= p < end.
struct Run {
  Position begin;
  Position end;
  bool operator==(const Run &) const = default;
};

/// A set of positions. Below the horizon it is a list of runs; from the
/// horizon on, p is a member iff p mod period lies in a run of the pattern. The
/// residues are those of the position itself: the horizon does not move the
/// pattern. A set without pattern is finite.
///
/// Values are canonical (runs merged, period and horizon as small as possible),
/// so that equality of sets is equality of representations. Operations work on
/// runs, never on single positions.
class TokenSet {
public:
  /// The empty set.
  TokenSet() = default;

  static TokenSet all();
  /// Every position >= begin.
  static TokenSet from(Position begin);
  /// A finite set; runs ascending, disjoint and not empty.
  static Expected<TokenSet> finite(std::vector<Run> runs);
  /// Runs ascending, disjoint, not empty and inside [0, period).
  static Expected<TokenSet> periodic(int64_t period, std::vector<Run> runs);
  /// `head` inside [0, horizon), then the pattern.
  static Expected<TokenSet> create(std::vector<Run> head, Position horizon,
                                   int64_t period, std::vector<Run> pattern);

  /// Text form: `empty`, `[0,3) [5,6)`, `period 7: [0,2)`,
  /// `[0,3) [5,6) below 10, then period 7: [0,2)`.
  static Expected<TokenSet> parse(std::string_view text);
  std::string print() const;

  bool operator==(const TokenSet &other) const {
    return horizonAt == other.horizonAt && periodLength == other.periodLength &&
           headRuns == other.headRuns && patternRuns == other.patternRuns;
  }

  bool empty() const { return headRuns.empty() && patternRuns.empty(); }
  bool isFinite() const { return patternRuns.empty(); }
  /// From here on the set is periodic; the end of a finite set.
  Position horizon() const { return horizonAt; }
  /// 0 for a finite set.
  int64_t period() const { return periodLength; }
  const std::vector<Run> &head() const { return headRuns; }
  const std::vector<Run> &pattern() const { return patternRuns; }

  bool contains(Position p) const { return next(p) == p; }
  /// The number of members below p.
  int64_t rank(Position p) const;
  /// The number of members in [begin, end).
  int64_t count(Position begin, Position end) const {
    return end > begin ? rank(end) - rank(begin) : 0;
  }
  /// The member that has `index` members below it, or kNever.
  Position select(int64_t index) const;
  /// The smallest member >= p, or kNever.
  Position next(Position p) const;
  /// The largest member < p, or -1.
  Position previous(Position p) const;
  /// The largest difference of neighbouring members below `length`; 0 if there
  /// are fewer than two. A gap of g hides g - 1 positions.
  int64_t largestGap(Position length) const;
  /// The most members that any [p, p + rows) inside [0, length) holds.
  int64_t densest(int64_t rows, Position length) const;

  /// The runs inside [begin, end), ascending and merged; an error beyond
  /// kRunLimit.
  Expected<std::vector<Run>> runs(Position begin, Position end) const;
  /// Calls fn(begin, end) for pieces that cover the members in [begin, end) in
  /// ascending order; neighbouring pieces may touch.
  template <typename Fn>
  void forEachRun(Position begin, Position end, Fn &&fn) const;

  TokenSet complement() const;
  Expected<TokenSet> unite(const TokenSet &other) const;
  Expected<TokenSet> intersect(const TokenSet &other) const;
  Expected<TokenSet> subtract(const TokenSet &other) const;
  /// {p >= 0 : p + delta is a member}, for delta >= 0: the set seen by a
  /// session that starts `delta` positions into the pattern.
  TokenSet shifted(int64_t delta) const;
  /// {p >= 0 : some member m has m - before <= p <= m + after}.
  Expected<TokenSet> widened(int64_t before, int64_t after) const;
  /// The members in [begin, end), as a finite set.
  Expected<TokenSet> clipped(Position begin, Position end) const;

private:
  void canonicalize();
  int64_t patternRank(Position p) const;

  std::vector<Run> headRuns;    // inside [0, horizonAt)
  std::vector<Run> patternRuns; // inside [0, periodLength)
  // Members before each run, and the total at the end; [0] if no runs.
  std::vector<int64_t> headCount = {0};
  std::vector<int64_t> patternCount = {0};
  Position horizonAt = 0;
  int64_t periodLength = 0;
};

template <typename Fn>
void TokenSet::forEachRun(Position begin, Position end, Fn &&fn) const {
  auto after = [](const std::vector<Run> &runs, Position p) {
    return std::upper_bound(
        runs.begin(), runs.end(), p,
        [](Position at, const Run &run) { return at < run.end; });
  };
  begin = std::max<Position>(begin, 0);
  if (begin < horizonAt) {
    Position stop = std::min(end, horizonAt);
    for (auto it = after(headRuns, begin);
         it != headRuns.end() && it->begin < stop; ++it)
      fn(std::max(it->begin, begin), std::min(it->end, stop));
    begin = horizonAt;
  }
  if (patternRuns.empty() || begin >= end)
    return;
  if (periodLength == 1) // everything: one run, not one per period
    return fn(begin, end);
  Position base = begin - begin % periodLength;
  auto it = after(patternRuns, begin - base);
  for (;; ++it) {
    if (it == patternRuns.end()) {
      base += periodLength;
      it = patternRuns.begin();
    }
    if (base + it->begin >= end)
      return;
    fn(std::max(base + it->begin, begin), std::min(base + it->end, end));
  }
}

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_TOKENSET_H
