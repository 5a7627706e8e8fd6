#include "RandomSets.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>

using namespace rshard::tokenset;
using namespace rshard::tokenset::test;

namespace {

constexpr Position kLength = 200;

/// Membership from the definition of the representation.
bool member(const TokenSet &set, Position p) {
  auto in = [](const std::vector<Run> &runs, Position at) {
    for (const Run &run : runs)
      if (run.begin <= at && at < run.end)
        return true;
    return false;
  };
  if (p < 0)
    return false;
  if (p < set.horizon() || set.isFinite())
    return in(set.head(), p);
  return in(set.pattern(), p % set.period());
}

std::vector<Position> members(const TokenSet &set) {
  std::vector<Position> list;
  for (Position p = 0; p < kLength; ++p)
    if (member(set, p))
      list.push_back(p);
  return list;
}

RC_GTEST_PROP(TokenSet, createKeepsMembers, ()) {
  Position horizon = draw(0, 20);
  int64_t period = draw(1, 12);
  std::vector<int64_t> head(horizon), pattern(period);
  for (auto *bits : {&head, &pattern})
    for (int64_t &bit : *bits)
      bit = draw(0, 1);
  auto set = TokenSet::create(
      runsOf(horizon, [&](Position p) { return head[p]; }), horizon, period,
      runsOf(period, [&](Position p) { return pattern[p]; }));
  RC_ASSERT(bool(set));
  for (Position p = 0; p < kLength; ++p) {
    bool expected = p < horizon ? head[p] : pattern[p % period];
    RC_ASSERT(member(*set, p) == expected);
    RC_ASSERT(set->contains(p) == expected);
  }
}

RC_GTEST_PROP(TokenSet, equalMembersAreEqual, ()) {
  // The same set from a longer horizon and a multiple of the period.
  TokenSet set = drawSet();
  Position horizon = set.horizon() + draw(0, 30);
  int64_t period = std::max<int64_t>(set.period(), 1) * draw(1, 6);
  auto in = [&](Position p) { return member(set, p); };
  // Residues are read far above the horizon.
  Position base = period * (horizon / period + 1);
  auto again = TokenSet::create(
      runsOf(horizon, in), horizon, period,
      runsOf(period, [&](Position p) { return in(base + p); }));
  RC_ASSERT(bool(again));
  RC_ASSERT(*again == set);
}

RC_GTEST_PROP(TokenSet, searches, ()) {
  TokenSet set = drawSet();
  std::vector<Position> list = members(set);
  int64_t below = 0;
  Position last = -1;
  for (Position p = 0; p < kLength; ++p) {
    RC_ASSERT(set.rank(p) == below);
    RC_ASSERT(set.previous(p) == last);
    if (below < int64_t(list.size())) {
      RC_ASSERT(set.next(p) == list[below]);
      RC_ASSERT(set.select(below) == list[below]);
    } else if (set.isFinite()) {
      RC_ASSERT(set.next(p) == kNever);
      RC_ASSERT(set.select(below) == kNever);
    }
    if (member(set, p)) {
      ++below;
      last = p;
    }
  }
  RC_ASSERT(set.select(-1) == kNever);
  RC_ASSERT(!set.contains(-1));
  RC_ASSERT(set.rank(-5) == 0);
}

RC_GTEST_PROP(TokenSet, gapsAndDensity, ()) {
  TokenSet set = drawSet();
  Position length = draw(0, kLength);
  int64_t gap = 0;
  Position last = -1;
  for (Position p = 0; p < length; ++p)
    if (member(set, p)) {
      if (last >= 0)
        gap = std::max(gap, p - last);
      last = p;
    }
  RC_ASSERT(set.largestGap(length) == gap);

  int64_t rows = draw(0, length), densest = 0;
  for (Position p = 0; p + rows <= length; ++p)
    densest = std::max(densest, set.count(p, p + rows));
  RC_ASSERT(set.densest(rows, length) == densest);
}

RC_GTEST_PROP(TokenSet, runsCoverMembers, ()) {
  TokenSet set = drawSet();
  Position begin = draw(-3, kLength), end = draw(-3, kLength);
  auto runs = set.runs(begin, end);
  RC_ASSERT(bool(runs));
  RC_ASSERT(*runs == runsOf(kLength, [&](Position p) {
    return begin <= p && p < end && member(set, p);
  }));
  auto clipped = set.clipped(begin, end);
  RC_ASSERT(bool(clipped));
  RC_ASSERT(clipped->isFinite());
  RC_ASSERT(clipped->head() == *runs);
}

RC_GTEST_PROP(TokenSet, algebra, ()) {
  TokenSet a = drawSet(), b = drawSet();
  auto both = a.unite(b), common = a.intersect(b), only = a.subtract(b);
  RC_ASSERT(both && common && only);
  TokenSet rest = a.complement();
  for (Position p = 0; p < kLength; ++p) {
    RC_ASSERT(member(*both, p) == (member(a, p) || member(b, p)));
    RC_ASSERT(member(*common, p) == (member(a, p) && member(b, p)));
    RC_ASSERT(member(*only, p) == (member(a, p) && !member(b, p)));
    RC_ASSERT(member(rest, p) == !member(a, p));
  }
  // De Morgan and involution hold as equality of representations.
  RC_ASSERT(rest.complement() == a);
  RC_ASSERT(*rest.intersect(b.complement()) == both->complement());
}

RC_GTEST_PROP(TokenSet, shifts, ()) {
  TokenSet set = drawSet();
  int64_t delta = draw(0, 50);
  TokenSet moved = set.shifted(delta);
  for (Position p = 0; p < kLength; ++p)
    RC_ASSERT(member(moved, p) == member(set, p + delta));
}

RC_GTEST_PROP(TokenSet, widens, ()) {
  TokenSet set = drawSet();
  int64_t before = draw(0, 15), after = draw(0, 15);
  auto wide = set.widened(before, after);
  RC_ASSERT(bool(wide));
  for (Position p = 0; p < kLength; ++p) {
    bool expected = false;
    for (Position x = p - after; x <= p + before; ++x)
      expected |= member(set, x);
    RC_ASSERT(member(*wide, p) == expected);
  }
}

TEST(TokenSet, widensAlmostToEverything) {
  // One member a period: one position is missing until the width is that of the
  // whole period.
  for (int64_t period = 2; period < 9; ++period)
    for (int64_t before = 0; before <= period - 2; ++before) {
      auto set = TokenSet::periodic(period, {{1, 2}});
      auto part = set->widened(before, period - 2 - before);
      auto full = set->widened(before, period - 1 - before);
      ASSERT_TRUE(part && full);
      EXPECT_EQ(part->count(10 * period, 11 * period), period - 1);
      EXPECT_EQ(full->count(10 * period, 11 * period), period);
    }
}

RC_GTEST_PROP(TokenSet, textRoundTrip, ()) {
  TokenSet set = drawSet();
  auto read = TokenSet::parse(set.print());
  RC_ASSERT(bool(read));
  RC_ASSERT(*read == set);
}

TEST(TokenSet, prints) {
  auto canonical = [](const char *text) {
    auto set = TokenSet::parse(text);
    return set ? set->print() : set.error().message;
  };
  EXPECT_EQ(canonical("period 7: [0,2)"), "period 7: [0,2)");
  EXPECT_EQ(canonical("[0,3) [5,6) below 10, then period 7: [0,2)"),
            "[0,3) [5,6) below 9, then period 7: [0,2)");
  EXPECT_EQ(canonical("  below 9,then period 14:[0,2)[7,9)"),
            "below 9, then period 7: [0,2)");
  EXPECT_EQ(canonical("period 6: [0,3) [3,6)"), "period 1: [0,1)");
  EXPECT_EQ(canonical("[0,3) [5,6)"), "[0,3) [5,6)");
  EXPECT_EQ(canonical("empty"), "empty");
}

TEST(TokenSet, refusesText) {
  auto message = [](const char *text) {
    auto set = TokenSet::parse(text);
    return set ? "accepted" : set.error().message;
  };
  EXPECT_EQ(message(""), "token set ``: expected `period` at character 0");
  EXPECT_EQ(message("period 7: [0,2) x"),
            "token set `period 7: [0,2) x`: expected the end at character 16");
  EXPECT_EQ(message("period 7 [0,2)"),
            "token set `period 7 [0,2)`: expected `:` at character 9");
  EXPECT_EQ(message("period 7: [2,2)"),
            "token set `period 7: [2,2)`: run [2,2) is empty");
  EXPECT_EQ(message("period 7: [6,8)"),
            "token set `period 7: [6,8)`: run [6,8) ends beyond the period 7");
  EXPECT_EQ(message("[0,3) [2,4)"),
            "token set `[0,3) [2,4)`: run [2,4) begins before position 3, "
            "where the run before ends");
  EXPECT_EQ(message("period 0: [0,1)"),
            "token set `period 0: [0,1)`: period 0 is not positive");
  EXPECT_EQ(message("period 99999999: [0,1)"),
            "token set `period 99999999: [0,1)`: period 99999999 is beyond "
            "the limit 16777216");
  EXPECT_EQ(message("[0,99999999999999999999)"),
            "token set `[0,99999999999999999999)`: expected a number from 0 "
            "to 2^53 at character 3");
  EXPECT_EQ(message("[0,3) below 2, then period 7: [0,1)"),
            "token set `[0,3) below 2, then period 7: [0,1)`: run [0,3) ends "
            "beyond the horizon 2");
}

TEST(TokenSet, boundsTheCommonPeriod) {
  auto a = TokenSet::periodic(16777213, {{0, 1}});
  auto b = TokenSet::periodic(16777199, {{0, 1}});
  ASSERT_TRUE(a && b);
  auto both = a->intersect(*b);
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().message,
            "the common period of 16777213 and 16777199 is 281474641166387, "
            "the limit is 16777216");
  // Within the period limit, yet too many runs.
  auto c = TokenSet::periodic(2, {{0, 1}});
  auto d = TokenSet::periodic(8388607, {{0, 1}});
  ASSERT_TRUE(c && d);
  auto many = c->unite(*d);
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().message,
            "the combined token set needs more than 1048576 runs");
  EXPECT_FALSE(c->runs(0, int64_t(1) << 40));
}

TEST(TokenSet, neverWalksTokens) {
  // Positions far out cost what near ones cost: this ends at once.
  auto set = TokenSet::parse("[0,5) below 1000000000000, then period 7: [0,2)");
  ASSERT_TRUE(bool(set));
  EXPECT_EQ(set->rank(1000000000000), 5);
  EXPECT_EQ(set->largestGap(Position(1) << 60) > 999999999990, true);
  TokenSet all = TokenSet::all();
  EXPECT_EQ(all.rank(Position(1) << 60), Position(1) << 60);
  auto far = all.clipped(5, Position(1) << 50);
  ASSERT_TRUE(bool(far));
  EXPECT_EQ(far->print(), "[5,1125899906842624)");
}

} // namespace
