#include "RandomSets.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace rshard::tokenset;
using namespace rshard::tokenset::test;

namespace {

constexpr Position kLength = 120;

RC_GTEST_PROP(Partition, ownersByBruteForce, ()) {
  Partition family = drawPartition("R", draw(1, 5));
  int64_t delta = draw(0, 40);
  Partition moved = family.shifted(delta);
  for (Position p = 0; p < kLength; ++p) {
    int32_t owner = family.owner(p);
    for (int32_t i = 0; i < family.size(); ++i)
      RC_ASSERT(family[i].contains(p) == (i == owner));
    RC_ASSERT(moved.owner(p) == family.owner(p, delta));
  }
  RC_ASSERT(family.limit() == kNever);
}

RC_GTEST_PROP(Partition, piecesCoverEveryInterval, ()) {
  Partition family = drawPartition("R", draw(1, 5));
  Position begin = draw(0, kLength), end = draw(0, kLength), next = begin;
  family.forEachPiece(begin, end, [&](Position from, Position to, int32_t i) {
    RC_ASSERT(from == next);
    RC_ASSERT(from < to);
    for (Position p = from; p < to; ++p)
      RC_ASSERT(family.owner(p) == i);
    next = to;
  });
  RC_ASSERT(next == std::max(begin, end));
}

RC_GTEST_PROP(Partition, findsTheFirstWrongPosition, ()) {
  // Any family of sets: either each position has one owner, or the message
  // names the first that has none or several (C1).
  std::vector<TokenSet> sets;
  for (int64_t i = draw(1, 3); i > 0; --i)
    sets.push_back(drawSet());
  auto family = Partition::create("S", sets);
  Position limit = kNever;
  bool finite = true;
  for (const TokenSet &set : sets)
    finite &= set.isFinite();
  if (finite) {
    limit = 0;
    for (const TokenSet &set : sets)
      limit = std::max(limit, set.horizon());
  }
  // 20 + lcm(1..12) bounds where the first mistake can be.
  Position wrong = -1;
  int64_t owners = 0;
  for (Position p = 0; p < std::min<Position>(limit, 30000); ++p) {
    owners = 0;
    for (const TokenSet &set : sets)
      owners += set.contains(p);
    if (owners != 1) {
      wrong = p;
      break;
    }
  }
  RC_ASSERT(bool(family) == (wrong < 0));
  if (wrong < 0)
    return;
  std::string expected = "C1: position " + std::to_string(wrong) +
                         (owners ? " is owned twice" : " is owned by no set");
  RC_ASSERT(family.error().message.starts_with(expected));
}

TEST(Partition, namesBothOwners) {
  auto a = TokenSet::periodic(3, {{0, 2}}), b = TokenSet::periodic(3, {{1, 3}});
  auto family = Partition::create("T", {*a, *b});
  ASSERT_FALSE(family);
  EXPECT_EQ(family.error().message,
            "C1: position 1 is owned twice, by T[0] and T[1]");
}

TEST(Partition, finiteSetsLimitTheCapacity) {
  auto a = TokenSet::finite({{0, 4}}), b = TokenSet::finite({{4, 10}});
  auto family = Partition::create("R", {*a, *b});
  ASSERT_TRUE(bool(family));
  EXPECT_EQ(family->limit(), 10);
  EXPECT_EQ(family->owner(9), 1);
  EXPECT_EQ(family->owner(10), -1);
  EXPECT_EQ(family->shifted(3).limit(), 7);
  Position covered = 0;
  family->forEachPiece(2, 100, [&](Position from, Position to, int32_t) {
    covered += to - from;
  });
  EXPECT_EQ(covered, 8);
}

TEST(Partition, boundsTheCommonPeriod) {
  auto a = TokenSet::periodic(16777213, {{0, 1}});
  auto b = TokenSet::periodic(16777199, {{1, 2}});
  auto family = Partition::create("R", {*a, *b});
  ASSERT_FALSE(family);
  EXPECT_EQ(family.error().message,
            "R: the common period of the sets is beyond the limit 16777216");
}

TEST(Partition, boundsTheRuns) {
  // Each set has few runs; up to the common period they have too many.
  auto a = TokenSet::periodic(2, {{0, 1}});
  auto b = TokenSet::periodic(8388607, {{1, 2}});
  EXPECT_EQ(Partition::create("R", {*a, *b}).error().message,
            "R: the sets need more than 1048576 runs");
  for (int64_t count : {int64_t(0), int64_t(1 << 20) + 1})
    EXPECT_EQ(Partition::roundRobin("S", count).error().message,
              "S: the number of sets is " + std::to_string(count) +
                  ", it must be from 1 to 1048576");
}

TEST(Partition, oneOwnerIsOnePiece) {
  auto family = Partition::roundRobin("R", 1);
  ASSERT_TRUE(bool(family));
  int pieces = 0;
  family->forEachPiece(3, Position(1) << 60,
                       [&](Position, Position, int32_t) { ++pieces; });
  EXPECT_EQ(pieces, 1);
}

} // namespace
