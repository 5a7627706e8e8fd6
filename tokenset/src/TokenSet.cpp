#include "rshard/tokenset/TokenSet.h"

#include <numeric>

namespace rshard::tokenset {
namespace {

/// Appends a run to a sorted list, merged with the last one if they touch.
void append(std::vector<Run> &runs, Position begin, Position end) {
  if (begin >= end)
    return;
  if (!runs.empty() && runs.back().end >= begin)
    runs.back().end = std::max(runs.back().end, end);
  else
    runs.push_back({begin, end});
}

std::vector<int64_t> countBefore(const std::vector<Run> &runs) {
  std::vector<int64_t> count(runs.size() + 1, 0);
  for (size_t i = 0; i < runs.size(); ++i)
    count[i + 1] = count[i] + (runs[i].end - runs[i].begin);
  return count;
}

/// Members of `runs` below p.
int64_t rankIn(const std::vector<Run> &runs, const std::vector<int64_t> &count,
               Position p) {
  auto it = std::partition_point(runs.begin(), runs.end(),
                                 [p](const Run &run) { return run.end <= p; });
  size_t i = it - runs.begin();
  return count[i] + (i < runs.size() ? std::max<int64_t>(0, p - it->begin) : 0);
}

/// The member of `runs` with `index` members below it; index is in range.
Position selectIn(const std::vector<Run> &runs,
                  const std::vector<int64_t> &count, int64_t index) {
  auto it = std::upper_bound(count.begin(), count.end(), index);
  size_t i = (it - count.begin()) - 1;
  return runs[i].begin + (index - count[i]);
}

/// The pattern `runs` with the given period, written out over [0, length).
std::vector<Run> repeat(const std::vector<Run> &runs, int64_t period,
                        int64_t length) {
  std::vector<Run> result;
  for (Position base = 0; base < length; base += period)
    for (const Run &run : runs)
      append(result, base + run.begin, std::min(base + run.end, length));
  return result;
}

std::vector<Run> restrict(const std::vector<Run> &runs, Position end) {
  std::vector<Run> result;
  for (const Run &run : runs) {
    if (run.begin >= end)
      break;
    result.push_back({run.begin, std::min(run.end, end)});
  }
  return result;
}

/// The smallest period of a pattern over [0, period). Tries each prime factor.
int64_t reducePattern(std::vector<Run> &runs, int64_t period) {
  auto divide = [&](int64_t prime) {
    while (period % prime == 0) {
      std::vector<Run> part = restrict(runs, period / prime);
      if (repeat(part, period / prime, period) != runs)
        return;
      runs = std::move(part);
      period /= prime;
    }
  };
  if (runs.size() == 1 && runs[0] == Run{0, period}) {
    runs[0].end = 1;
    return 1;
  }
  int64_t rest = period;
  for (int64_t prime = 2; prime * prime <= rest; ++prime) {
    if (rest % prime)
      continue;
    while (rest % prime == 0)
      rest /= prime;
    divide(prime);
  }
  if (rest > 1)
    divide(rest);
  return period;
}

/// Runs ascending, disjoint, not empty, in [0, end); merges runs that touch.
Expected<std::vector<Run>> checkRuns(const std::vector<Run> &runs, Position end,
                                     const char *within) {
  std::vector<Run> result;
  Position last = 0;
  for (const Run &run : runs) {
    std::string text = "run [" + std::to_string(run.begin) + "," +
                       std::to_string(run.end) + ")";
    if (run.begin >= run.end)
      return Error{text + " is empty"};
    if (run.begin < last)
      return Error{text + (run.begin < 0 ? " begins below 0"
                                         : " begins before position " +
                                               std::to_string(last) +
                                               ", where the run before ends")};
    if (run.end > end)
      return Error{text + " ends beyond " + within + " " + std::to_string(end)};
    append(result, run.begin, run.end);
    last = run.end;
  }
  return result;
}

/// Merges two sorted lists by a truth table: bit (inA + 2 * inB) of `table`.
std::vector<Run> combine(const std::vector<Run> &a, const std::vector<Run> &b,
                         unsigned table, Position end) {
  std::vector<Run> result;
  size_t i = 0, j = 0;
  for (Position p = 0; p < end;) {
    while (i < a.size() && a[i].end <= p)
      ++i;
    while (j < b.size() && b[j].end <= p)
      ++j;
    auto edge = [p, end](const std::vector<Run> &runs, size_t at, bool &in) {
      in = at < runs.size() && runs[at].begin <= p;
      return at == runs.size() ? end : in ? runs[at].end : runs[at].begin;
    };
    bool inA, inB;
    Position next = std::min({edge(a, i, inA), edge(b, j, inB), end});
    if (table >> (inA + 2 * inB) & 1)
      append(result, p, next);
    p = next;
  }
  return result;
}

Error tooManyRuns() {
  return Error{"the combined token set needs more than " +
               std::to_string(kRunLimit) + " runs"};
}

/// At most this many runs lie in [begin, end).
int64_t runBound(const TokenSet &set, Position begin, Position end) {
  int64_t bound = static_cast<int64_t>(set.head().size());
  Position from = std::max(begin, set.horizon());
  if (set.isFinite() || from >= end)
    return bound;
  if (set.period() == 1)
    return bound + 1;
  int64_t periods = (end - from) / set.period() + 2;
  int64_t each = static_cast<int64_t>(set.pattern().size());
  return periods > kRunLimit ? kRunLimit + 1 : bound + periods * each;
}

Expected<TokenSet> apply(const TokenSet &a, const TokenSet &b, unsigned table) {
  int64_t periodA = a.isFinite() ? 1 : a.period();
  int64_t periodB = b.isFinite() ? 1 : b.period();
  // Each is at most 2^24: the product does not overflow.
  int64_t period = periodA / std::gcd(periodA, periodB) * periodB;
  if (period > kPeriodLimit)
    return Error{"the common period of " + std::to_string(periodA) + " and " +
                 std::to_string(periodB) + " is " + std::to_string(period) +
                 ", the limit is " + std::to_string(kPeriodLimit)};
  Position horizon = std::max(a.horizon(), b.horizon());
  if (int64_t(a.pattern().size()) * (period / periodA) > kRunLimit ||
      int64_t(b.pattern().size()) * (period / periodB) > kRunLimit)
    return tooManyRuns();
  auto headA = a.runs(0, horizon), headB = b.runs(0, horizon);
  if (!headA)
    return headA.error();
  if (!headB)
    return headB.error();
  return TokenSet::create(
      combine(*headA, *headB, table, horizon), horizon, period,
      combine(repeat(a.pattern(), periodA, a.isFinite() ? 0 : period),
              repeat(b.pattern(), periodB, b.isFinite() ? 0 : period), table,
              period));
}

} // namespace

TokenSet TokenSet::all() { return from(0); }

TokenSet TokenSet::from(Position begin) {
  TokenSet set;
  set.horizonAt = std::max<Position>(begin, 0);
  set.periodLength = 1;
  set.patternRuns = {{0, 1}};
  set.canonicalize();
  return set;
}

Expected<TokenSet> TokenSet::finite(std::vector<Run> runs) {
  Position horizon = runs.empty() ? 0 : runs.back().end;
  return create(std::move(runs), horizon, 0, {});
}

Expected<TokenSet> TokenSet::periodic(int64_t period, std::vector<Run> runs) {
  return create({}, 0, period, std::move(runs));
}

Expected<TokenSet> TokenSet::create(std::vector<Run> head, Position horizon,
                                    int64_t period, std::vector<Run> pattern) {
  if (period < 0 || (period == 0 && !pattern.empty()))
    return Error{"period " + std::to_string(period) + " is not positive"};
  if (period > kPeriodLimit)
    return Error{"period " + std::to_string(period) + " is beyond the limit " +
                 std::to_string(kPeriodLimit)};
  auto checkedHead = checkRuns(head, horizon, "the horizon");
  if (!checkedHead)
    return checkedHead.error();
  auto checkedPattern = checkRuns(pattern, period, "the period");
  if (!checkedPattern)
    return checkedPattern.error();
  TokenSet set;
  set.headRuns = std::move(*checkedHead);
  set.horizonAt = horizon;
  set.periodLength = period;
  set.patternRuns = std::move(*checkedPattern);
  set.canonicalize();
  return set;
}

void TokenSet::canonicalize() {
  if (patternRuns.empty()) {
    periodLength = 0;
    horizonAt = headRuns.empty() ? 0 : headRuns.back().end;
  } else {
    periodLength = reducePattern(patternRuns, periodLength);
    // Lower the horizon to the end of the last run on which head and pattern
    // differ: walk both down, run by run.
    auto below = [](const std::vector<Run> &runs, Position p, bool &in) {
      auto it =
          std::partition_point(runs.begin(), runs.end(),
                               [p](const Run &run) { return run.begin < p; });
      in = it != runs.begin() && std::prev(it)->end >= p;
      return it == runs.begin() ? Position(0)
             : in               ? std::prev(it)->begin
                                : std::prev(it)->end;
    };
    Position p = horizonAt;
    while (p > 0) {
      bool inHead, inPattern;
      Position stopHead = below(headRuns, p, inHead);
      Position base = (p - 1) / periodLength * periodLength;
      Position stopPattern = base + below(patternRuns, p - base, inPattern);
      if (periodLength == 1)
        stopPattern = 0;
      if (inHead != inPattern)
        break;
      p = std::max(stopHead, stopPattern);
    }
    headRuns = restrict(headRuns, p);
    horizonAt = p;
  }
  headCount = countBefore(headRuns);
  patternCount = countBefore(patternRuns);
}

int64_t TokenSet::patternRank(Position p) const {
  return p / periodLength * patternCount.back() +
         rankIn(patternRuns, patternCount, p % periodLength);
}

int64_t TokenSet::rank(Position p) const {
  if (p <= horizonAt || isFinite())
    return rankIn(headRuns, headCount, p);
  return headCount.back() + patternRank(p) - patternRank(horizonAt);
}

Position TokenSet::select(int64_t index) const {
  if (index < 0)
    return kNever;
  if (index < headCount.back())
    return selectIn(headRuns, headCount, index);
  if (isFinite())
    return kNever;
  index += patternRank(horizonAt) - headCount.back();
  int64_t each = patternCount.back();
  return index / each * periodLength +
         selectIn(patternRuns, patternCount, index % each);
}

Position TokenSet::next(Position p) const {
  p = std::max<Position>(p, 0);
  auto after = [](const std::vector<Run> &runs, Position at) {
    return std::partition_point(runs.begin(), runs.end(),
                                [at](const Run &run) { return run.end <= at; });
  };
  if (p < horizonAt) {
    auto it = after(headRuns, p);
    if (it != headRuns.end())
      return std::max(p, it->begin);
    p = horizonAt;
  }
  if (isFinite())
    return kNever;
  Position base = p - p % periodLength;
  auto it = after(patternRuns, p - base);
  if (it == patternRuns.end())
    return base + periodLength + patternRuns.front().begin;
  return std::max(p, base + it->begin);
}

Position TokenSet::previous(Position p) const {
  int64_t below = rank(p);
  return below == 0 ? -1 : select(below - 1);
}

int64_t TokenSet::largestGap(Position length) const {
  // Two periods beyond the horizon contain every gap of the pattern; the gap
  // across the horizon ends within the first.
  if (!isFinite())
    length = std::min(length, horizonAt + 2 * periodLength + 1);
  int64_t gap = 0;
  Position last = -1;
  forEachRun(0, length, [&](Position begin, Position end) {
    if (last >= 0)
      gap = std::max(gap, begin - last);
    if (end - begin > 1)
      gap = std::max<int64_t>(gap, 1);
    last = end - 1;
  });
  return gap;
}

int64_t TokenSet::densest(int64_t rows, Position length) const {
  if (rows >= length)
    return rank(length);
  // Moving a window to the begin of the run that it starts in, or right to the
  // next run, loses nothing; the last window is the exception.
  int64_t best = count(length - rows, length);
  Position stop = length - rows;
  if (!isFinite())
    stop = std::min(stop, horizonAt + periodLength);
  best = std::max(best, count(0, rows));
  forEachRun(0, stop, [&](Position begin, Position) {
    best = std::max(best, count(begin, begin + rows));
  });
  return best;
}

Expected<std::vector<Run>> TokenSet::runs(Position begin, Position end) const {
  if (runBound(*this, begin, end) > kRunLimit)
    return tooManyRuns();
  std::vector<Run> result;
  forEachRun(begin, end,
             [&](Position from, Position to) { append(result, from, to); });
  return result;
}

TokenSet TokenSet::complement() const {
  int64_t period = isFinite() ? 1 : periodLength;
  TokenSet set;
  set.headRuns = combine(headRuns, {}, 0b0001, horizonAt);
  set.horizonAt = horizonAt;
  set.periodLength = period;
  set.patternRuns = combine(patternRuns, {}, 0b0001, period);
  set.canonicalize();
  return set;
}

Expected<TokenSet> TokenSet::unite(const TokenSet &other) const {
  return apply(*this, other, 0b1110);
}

Expected<TokenSet> TokenSet::intersect(const TokenSet &other) const {
  return apply(*this, other, 0b1000);
}

Expected<TokenSet> TokenSet::subtract(const TokenSet &other) const {
  return apply(*this, other, 0b0010);
}

TokenSet TokenSet::shifted(int64_t delta) const {
  TokenSet set;
  for (const Run &run : headRuns)
    append(set.headRuns, std::max<Position>(run.begin - delta, 0),
           run.end - delta);
  set.horizonAt = std::max<Position>(horizonAt - delta, 0);
  set.periodLength = periodLength;
  if (!isFinite()) {
    // The pattern rotates left by delta.
    int64_t turn = delta % periodLength;
    for (int64_t base : {-turn, periodLength - turn})
      for (const Run &run : patternRuns)
        append(set.patternRuns, std::max<Position>(base + run.begin, 0),
               std::min(base + run.end, periodLength));
  }
  set.canonicalize();
  return set;
}

Expected<TokenSet> TokenSet::widened(int64_t before, int64_t after) const {
  Position horizon = horizonAt + after;
  auto widen = [&](const std::vector<Run> &runs, Position from, Position to) {
    std::vector<Run> result;
    for (const Run &run : runs)
      append(result, std::max(run.begin - before, from) - from,
             std::min(run.end + after, to) - from);
    return result;
  };
  auto near = runs(0, horizon + before);
  if (!near)
    return near.error();
  std::vector<Run> head = widen(*near, 0, horizon);
  if (isFinite())
    return create(std::move(head), horizon, 0, {});
  if (before + after >= periodLength - 1)
    return create(std::move(head), horizon, 1, {{0, 1}});
  std::vector<Run> around = repeat(patternRuns, periodLength, 3 * periodLength);
  return create(std::move(head), horizon, periodLength,
                widen(around, periodLength, 2 * periodLength));
}

Expected<TokenSet> TokenSet::clipped(Position begin, Position end) const {
  auto inside = runs(begin, end);
  if (!inside)
    return inside.error();
  return finite(std::move(*inside));
}

} // namespace rshard::tokenset
