// Predicted bytes against token-by-token brute force and against closed forms
// (C7).

#include "rshard/tokenset/Prediction.h"
#include "RandomPlans.h"
#include "rshard/tokenset/ClusterRule.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

using namespace rshard::tokenset;
using namespace rshard::tokenset::test;

namespace {

using Key = std::tuple<ExchangeKind, int32_t, int32_t, int32_t>;

/// Walks random steps token by token. `bytes` is what the predictor is told,
/// `expectedBytes` what a row of each tensor must count.
void checkByBruteForce(Plan plan, const RowBytes &bytes,
                       const RowBytes &expectedBytes) {
  plan.clientLast = draw(0, 3) == 0;
  std::vector<Mask> layers = drawMasks();
  for (int64_t i = draw(0, 2); i > 0; --i)
    layers.push_back(layers[draw(0, int64_t(layers.size()) - 1)]);
  int64_t capacity = draw(1, 40);
  auto predictor = Predictor::create(plan, layers, capacity, bytes);
  RC_ASSERT(bool(predictor));
  for (const Step &step : drawSteps(layers, capacity, capacity)) {
    std::map<Key, int64_t> rows;
    int32_t client = plan.ranks[0];
    Position end = step.position + step.rows;
    int64_t wanted = plan.clientLast ? step.rows : step.wanted;
    for (Position p = step.position; p < end; ++p) {
      BruteForce any{plan, layers[0], capacity, step};
      int32_t a = any.compRank(p);
      ++rows[{ExchangeKind::Enter, client, a, 0}];
      if (p >= end - wanted)
        ++rows[{ExchangeKind::Leave, a, client, 0}];
      for (const Mask &mask : layers) {
        BruteForce truth{plan, mask, capacity, step};
        for (int32_t b : truth.mergeRanks(p)) {
          ++rows[{ExchangeKind::Up, a, b, 0}];
          ++rows[{ExchangeKind::Down, b, a, 0}];
          ++rows[{ExchangeKind::Down, b, a, 1}];
        }
        for (int32_t b : truth.cacheRanks(p)) {
          ++rows[{ExchangeKind::Up, a, b, 1}];
          ++rows[{ExchangeKind::Up, a, b, 2}];
        }
      }
    }
    std::map<Key, int64_t> width = {
        {{ExchangeKind::Enter, 0, 0, 0}, expectedBytes.enter},
        {{ExchangeKind::Leave, 0, 0, 0}, expectedBytes.leave},
        {{ExchangeKind::Up, 0, 0, 0}, expectedBytes.query},
        {{ExchangeKind::Up, 0, 0, 1}, expectedBytes.key},
        {{ExchangeKind::Up, 0, 0, 2}, expectedBytes.value},
        {{ExchangeKind::Down, 0, 0, 0}, expectedBytes.partial},
        {{ExchangeKind::Down, 0, 0, 1}, expectedBytes.lse}};
    std::vector<Edge> expected;
    for (const auto &[key, count] : rows) {
      auto [kind, source, destination, tensor] = key;
      int64_t each = source == destination ? 0 : width[{kind, 0, 0, tensor}];
      expected.push_back(
          {kind, source, destination, tensor, count, count * each});
    }
    auto edges = predictor->predict(step);
    RC_ASSERT(bool(edges));
    RC_ASSERT(*edges == expected);
  }
}

RC_GTEST_PROP(Prediction, byBruteForce, ()) {
  RowBytes bytes{1000, 5000, 100, 10, 20, 300, 3};
  checkByBruteForce(drawPlan(), bytes, bytes);
}

RC_GTEST_PROP(Prediction, bytesFollowTheTypes, ()) {
  Plan plan = drawPlan();
  RowWidths widths{draw(1, 100), draw(1, 100), draw(1, 100), draw(1, 100),
                   draw(1, 9)};
  auto size = [](ElementType type) { return type == ElementType::F32 ? 4 : 2; };
  int64_t e = size(plan.types.activations), eo = size(plan.types.partials);
  checkByBruteForce(plan, rowBytes(widths, plan.types),
                    {widths.enter * e, widths.leave * e, widths.query * e,
                     widths.key * e, widths.key * e, widths.query * eo,
                     widths.heads * 4});
}

/// Bytes of one kind of exchange, over all edges.
int64_t bytesOf(const std::vector<Edge> &edges, ExchangeKind kind) {
  int64_t bytes = 0;
  for (const Edge &edge : edges)
    if (edge.exchange == kind)
      bytes += edge.bytes;
  return bytes;
}

struct Model {
  int64_t layers, heads, keyHeads, headSize, elementBytes, partialBytes;
  RowBytes bytes() const {
    int64_t q = heads * headSize, k = keyHeads * headSize;
    return {q * elementBytes, q * elementBytes, q * elementBytes,
            k * elementBytes, k * elementBytes, q * partialBytes,
            heads * 4};
  }
};

TEST(Prediction, gridClosedForm) {
  // AttnNodes apart, all partials returned: up e S (beta_k Hq d + beta_q 2 Hk
  // d), down beta_k S Hq (d eo + 4), for each layer.
  for (int64_t betaQ : {1, 3, 4})
    for (int64_t betaK : {1, 2, 5})
      for (int64_t eo : {2, 4}) {
        ClusterRule rule;
        rule.comp = 3;
        rule.attn = GridShape{betaQ, betaK};
        auto plan = makePlan(rule);
        ASSERT_TRUE(bool(plan));
        Model model{2, 8, 2, 16, 2, eo};
        auto predictor = Predictor::create(*plan, {Mask::full(), Mask::full()},
                                           128, model.bytes());
        ASSERT_TRUE(bool(predictor));
        auto edges = predictor->predict({0, 128, 1});
        ASSERT_TRUE(bool(edges));
        int64_t S = 128, d = 16, Hq = 8, Hk = 2, e = 2;
        EXPECT_EQ(bytesOf(*edges, ExchangeKind::Up),
                  2 * e * S * (betaK * Hq * d + betaQ * 2 * Hk * d));
        EXPECT_EQ(bytesOf(*edges, ExchangeKind::Down),
                  2 * betaK * S * Hq * (d * eo + 4));
        EXPECT_EQ(bytesOf(*edges, ExchangeKind::Enter), S * Hq * d * e);
        EXPECT_EQ(bytesOf(*edges, ExchangeKind::Leave), Hq * d * e);
      }
}

TEST(Prediction, privateSettingInMegabytes) {
  // beta 8, 128 tokens, all layers: BERT-base 76.1, 95.0 and 151.6 MB, BERT-
  // large 202.9, 253.2 and 404.2, for (e, eo) = (2, 2), (2, 4), (4, 4).
  ClusterRule rule;
  rule.comp = 8;
  auto plan = makePlan(rule);
  ASSERT_TRUE(bool(plan));
  ASSERT_EQ(plan->queryShards(), 8);
  auto megabytes = [&](int64_t layers, int64_t heads, int64_t e, int64_t eo) {
    Model model{layers, heads, heads, 64, e, eo};
    auto predictor = Predictor::create(
        *plan, std::vector<Mask>(layers, Mask::full()), 128, model.bytes());
    auto edges = predictor->predict({0, 128, 0});
    return double(bytesOf(*edges, ExchangeKind::Up) +
                  bytesOf(*edges, ExchangeKind::Down)) /
           1e6;
  };
  EXPECT_NEAR(megabytes(12, 12, 2, 2), 76.1, 0.05);
  EXPECT_NEAR(megabytes(12, 12, 2, 4), 95.0, 0.05);
  EXPECT_NEAR(megabytes(12, 12, 4, 4), 151.6, 0.05);
  EXPECT_NEAR(megabytes(24, 16, 2, 2), 202.9, 0.05);
  EXPECT_NEAR(megabytes(24, 16, 2, 4), 253.2, 0.05);
  EXPECT_NEAR(megabytes(24, 16, 4, 4), 404.2, 0.05);
}

/// Bytes that each rank receives for a full mask, without lse.
std::vector<int64_t> receivedBytes(const Plan &plan, const Model &model,
                                   int64_t length) {
  auto predictor =
      Predictor::create(plan, {Mask::full()}, length, model.bytes());
  auto edges = predictor->predict({0, length, 0});
  std::vector<int64_t> received(plan.rankCount());
  for (const Edge &edge : *edges)
    if (edge.exchange == ExchangeKind::Up ||
        (edge.exchange == ExchangeKind::Down && edge.tensor == 0))
      received[edge.destination] += edge.bytes;
  return received;
}

TEST(Prediction, meshClosedForm) {
  // Co-located nodes, P = a x b devices: the device of cell (j,k) is also the
  // CompNode of the rows in S_j and T_k. Each receives
  // [2g (a-1) + 2 (b-1)] Hk d e S / P, with b grid rows and a columns.
  const int64_t a = 3, b = 2, P = a * b, S = 60;
  Plan plan;
  std::vector<TokenSet> comps;
  for (int64_t j = 0; j < b; ++j)
    for (int64_t k = 0; k < a; ++k)
      for (Position p = 0; p < P; ++p)
        if (p % b == j && p % a == k)
          comps.push_back(*TokenSet::periodic(P, {{p, p + 1}}));
  plan.R = *Partition::create("R", comps);
  plan.S = *Partition::roundRobin("S", b);
  plan.T = *Partition::roundRobin("T", a);
  plan.ranks = {0};
  for (int twice = 0; twice < 2; ++twice)
    for (int32_t rank = 0; rank < P; ++rank)
      plan.ranks.push_back(rank);
  const int64_t g = 4, Hk = 2, d = 16, e = 2;
  for (int64_t bytes : receivedBytes(plan, {1, g * Hk, Hk, d, e, e}, S))
    EXPECT_EQ(bytes, (2 * g * (a - 1) + 2 * (b - 1)) * Hk * d * e * S / P);
}

TEST(Prediction, ringClosedForm) {
  // Device j holds grid row j: what a ring or an all-gather of keys moves,
  // 2 Hk d e S (P-1)/P.
  const int64_t P = 4, S = 64;
  ClusterRule rule;
  rule.comp = P;
  Plan plan = *makePlan(rule);
  for (int32_t j = 0; j < P; ++j) {
    plan.ranks[plan.compNode(j)] = j;
    for (int32_t k = 0; k < P; ++k)
      plan.ranks[plan.attnNode(j, k)] = j;
  }
  const int64_t Hk = 2, d = 16, e = 2;
  for (int64_t bytes : receivedBytes(plan, {1, 8, Hk, d, e, e}, S))
    EXPECT_EQ(bytes, 2 * Hk * d * e * S * (P - 1) / P);
}

TEST(Prediction, oneRankSendsNothing) {
  ClusterRule rule;
  rule.ranks = 1;
  auto plan = makePlan(rule);
  auto predictor = Predictor::create(*plan, {Mask::causal()}, 64,
                                     RowBytes{4, 4, 4, 4, 4, 4, 4});
  auto edges = predictor->predict({0, 39, 39});
  ASSERT_TRUE(bool(edges));
  EXPECT_EQ(edges->size(), 7u); // listed, with their rows
  for (const Edge &edge : *edges)
    EXPECT_EQ(edge.rows, 39);
  EXPECT_EQ(totalBytes(*edges), 0);
}

TEST(Prediction, setsWithoutCommonPeriod) {
  // The common period of S and T is beyond the limit: they are cut to the
  // capacity.
  Plan plan;
  plan.R = *Partition::roundRobin("R", 1);
  auto split = [](const char *name, int64_t period) {
    auto set = *TokenSet::periodic(period, {{0, 5}});
    return *Partition::create(name, {set, set.complement()});
  };
  plan.S = split("S", 16777213);
  plan.T = split("T", 16777199);
  placeApart(plan);
  auto predictor = Predictor::create(plan, {Mask::windowed(3)}, 100,
                                     RowBytes{1, 1, 1, 1, 1, 1, 1});
  ASSERT_TRUE(bool(predictor)) << predictor.error().message;
  auto edges = predictor->predict({0, 100, 1});
  BruteForce truth{plan, Mask::windowed(3), 100, {0, 100, 1}};
  int64_t partials = 0, rows = 0;
  for (Position p = 0; p < 100; ++p)
    partials += int64_t(truth.mergeRanks(p).size());
  for (const Edge &edge : *edges)
    if (edge.exchange == ExchangeKind::Down && edge.tensor == 0)
      rows += edge.rows;
  EXPECT_EQ(rows, partials);
}

TEST(Prediction, refusesStepsBeyondTheCapacity) {
  auto predictor =
      Predictor::create(*makePlan({}), {Mask::causal()}, 64, RowBytes());
  ASSERT_TRUE(bool(predictor));
  auto edges = predictor->predict({60, 5, 1});
  ASSERT_FALSE(edges);
  EXPECT_EQ(edges.error().message,
            "step of 5 rows at position 60: the capacity is 64");
}

TEST(Prediction, refusesWindowsWithoutKeys) {
  auto predictor =
      Predictor::create(*makePlan({}), {Mask::windowed(0)}, 64, RowBytes());
  ASSERT_FALSE(predictor);
  EXPECT_EQ(predictor.error().message, "window 0: it must be at least 1");
}

} // namespace
