#include "AddressSpaceLimit.h"
#include "ToyModel.h"
#include "rshard/tokenset/ClusterRule.h"
#include "rshard/tokenset/Prediction.h"

#include <cmath>
#include <map>
#include <rapidcheck/gtest.h>
#include <set>

namespace rshard::runtime {
namespace {
using tokenset::Plan;

Plan figure() { return *tokenset::makePlan({}); }

/// Runs the tokens in steps of `sizes` (the last one repeats) and returns the
/// results of all rows.
std::vector<float> runSteps(Session &session,
                            const std::vector<int32_t> &tokens,
                            std::vector<size_t> sizes) {
  std::vector<float> out;
  for (size_t at = 0, i = 0; at < tokens.size(); ++i) {
    size_t size =
        std::min(sizes[std::min(i, sizes.size() - 1)], tokens.size() - at);
    Expected<Rows> rows = session.step(std::span(tokens).subspan(at, size),
                                       static_cast<int64_t>(at), Want::All);
    EXPECT_TRUE(rows) << rows.error().message;
    if (!rows)
      return out;
    EXPECT_EQ(rows->rows, static_cast<int64_t>(size));
    out.insert(out.end(), rows->data, rows->data + rows->rows * rows->width);
    at += size;
  }
  return out;
}

RC_GTEST_PROP(Session, GivesTheModelsResultsUnderAnyPlan, ()) {
  tokenset::ClusterRule rule;
  rule.comp = *rc::gen::inRange<int64_t>(1, 6);
  rule.cluster = *rc::gen::inRange<int64_t>(1, 4);
  rule.period =
      *rule.comp * *rule.cluster - *rc::gen::inRange<int64_t>(0, *rule.cluster);
  if (*rc::gen::arbitrary<bool>())
    rule.attn = tokenset::GridShape{*rc::gen::inRange<int64_t>(1, 5),
                                    *rc::gen::inRange<int64_t>(1, 5)};
  rule.clientFirst = *rc::gen::inRange(0, 2);
  rule.clientLast = *rc::gen::inRange(0, 2);
  Plan plan = *tokenset::makePlan(rule);
  // Random placement: ranks dense from 0 in order of first use.
  int most = *rc::gen::inRange(1, plan.nodes() + 1);
  std::map<int, int32_t> names;
  for (int32_t &rank : plan.ranks)
    rank = names
               .emplace(*rc::gen::inRange(0, most),
                        static_cast<int32_t>(names.size()))
               .first->second;
  ToyModel model;
  SessionOptions options;
  options.capacity = 20;
  options.largestStep = *rc::gen::inRange(1, 21);
  options.allRows = true;
  options.poison = *rc::gen::arbitrary<bool>();
  Expected<Session> session = model.session(plan, options);
  RC_ASSERT(static_cast<bool>(session));
  std::vector<int32_t> tokens = someTokens(*rc::gen::inRange(1, 21));
  std::vector<size_t> sizes = *rc::gen::nonEmpty(
      rc::gen::container<std::vector<size_t>>(rc::gen::inRange<size_t>(1, 21)));
  RC_ASSERT(runSteps(*session, tokens, sizes) == toyResults(tokens, plan));
  // Both counts are taken at different ends.
  for (const EdgeCount &edge : session->counts()) {
    RC_ASSERT(edge.sentBytes == edge.receivedBytes);
    RC_ASSERT(edge.source != edge.destination);
  }
}

TEST(Session, RunsTheFigureWithPoisonedArenas) {
  ToyModel model;
  Expected<Session> session =
      model.session(figure(), {.allRows = true, .poison = true});
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_EQ(session->ranks(), 21);
  std::vector<int32_t> tokens = someTokens(20);
  std::vector<float> expected = toyResults(tokens, figure());
  EXPECT_EQ(runSteps(*session, tokens, {20}), expected);
  EXPECT_EQ(runSteps(*session, tokens, {1}), expected);
  EXPECT_EQ(runSteps(*session, tokens, {13, 3, 1}), expected);
  EXPECT_EQ(session->length(), 20);
}

TEST(Session, CutsLongPrompts) {
  ToyModel model;
  Expected<Session> session =
      model.session(figure(), {.largestStep = 6, .allRows = true});
  ASSERT_TRUE(session);
  std::vector<int32_t> tokens = someTokens(20);
  std::vector<float> expected = toyResults(tokens, figure());
  EXPECT_EQ(runSteps(*session, tokens, {20}), expected);
  Expected<Rows> last = session->step(tokens, 0);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->rows, 1);
  EXPECT_EQ(std::vector<float>(last->row(0).begin(), last->row(0).end()),
            std::vector<float>(expected.end() - toyVocabulary, expected.end()));
  Expected<Rows> none = session->step(tokens, 0, Want::None);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->rows, 0);
}

TEST(Session, TruncatesAndGoesOn) {
  ToyModel model;
  Expected<Session> session = model.session(figure(), {.allRows = true});
  ASSERT_TRUE(session);
  std::vector<int32_t> tokens = someTokens(15), other = tokens;
  runSteps(*session, tokens, {15});
  other.resize(9);
  other.push_back(4);
  other.push_back(0);
  std::vector<float> expected = toyResults(other, figure());
  Expected<Rows> rows =
      session->step(std::span(other).subspan(9), 9, Want::All);
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(
      std::vector<float>(rows->data, rows->data + 2 * toyVocabulary),
      std::vector<float>(expected.begin() + 9 * toyVocabulary, expected.end()));
  EXPECT_EQ(session->length(), 11);
}

TEST(Session, RefusesWrongSteps) {
  ToyModel model;
  Expected<Session> session = model.session(figure(), {.capacity = 20});
  ASSERT_TRUE(session);
  auto error = [&](const std::vector<int32_t> &tokens, int64_t position,
                   Want want = Want::Last) {
    Expected<Rows> rows = session->step(tokens, position, want);
    return rows ? std::string() : rows.error().message;
  };
  EXPECT_EQ(error({1, 2, 3}, 0), "");
  EXPECT_NE(error({1}, 4).find("position 4, the session holds 3"),
            std::string::npos);
  EXPECT_NE(error({1}, -1), "");
  EXPECT_NE(error({}, 3).find("at least one"), std::string::npos);
  EXPECT_NE(error({5}, 3).find("token 0 is 5, the vocabulary has 5"),
            std::string::npos);
  EXPECT_NE(error({1, -1}, 3).find("token 1 is -1"), std::string::npos);
  EXPECT_NE(error(someTokens(18), 3).find("capacity of 20"), std::string::npos);
  EXPECT_NE(error({1}, 3, Want::All).find("all rows"), std::string::npos);
  EXPECT_EQ(session->length(), 3);
  EXPECT_EQ(error(someTokens(17), 3), "");
}

TEST(Session, RefusesWhatDoesNotFit) {
  ToyModel model;
  Plan plan = figure();
  auto error = [&](SessionOptions options) {
    Expected<Session> session = model.session(plan, std::move(options));
    return session ? std::string() : session.error().message;
  };
  EXPECT_NE(error({.capacity = 41}).find("1 to 40"), std::string::npos);
  EXPECT_NE(error({.capacity = -1}), "");
  EXPECT_NE(error({.capacity = 8, .largestStep = 9}), "");

  auto broken = [&](auto change) {
    Manifest m = model.manifest(plan);
    change(m);
    Expected<Session> session = model.session(m);
    return session ? std::string() : session.error().message;
  };
  auto has = [&](auto change, const char *text) {
    std::string message = broken(change);
    EXPECT_NE(message.find(text), std::string::npos) << message;
  };
  has([](Manifest &m) { m.hashes.model = "x"; }, "another model");
  has([](Manifest &m) { m.tables.push_back("up7.pack"); }, "\"up7.pack\"");
  has([](Manifest &m) { m.exchanges[0].transfer = "x"; }, "table \"x\"");
  has([](Manifest &m) { m.buffers[16].rows = RowClass::Comp; },
      "f32 rows of class comp vs f32 rows of class wanted");
  has([](Manifest &m) { m.buffers[16].name = "y"; }, "no buffer \"result\"");
  has([](Manifest &m) { m.buffers[16].type = ElementType::BF16; },
      "buffer \"result\" has bf16 rows of class wanted vs f32 rows of class "
      "wanted");
  has([](Manifest &m) { m.plan = "{"; }, "plan");
  has([](Manifest &m) { m.weights[0].parts[0].tensor = "embedding"; },
      "no tensor \"embedding\"");
  has(
      [&](Manifest &m) {
        Plan all = plan;
        all.clientFirst = 2;
        all.clientLast = 1;
        m.plan = tokenset::printPlan(all);
      },
      "at least one must be sharded");
}

/// With the address sanitizer, which reserves terabytes, too.
TEST(Session, SaysHowMuchMemoryItNeeds) {
  ToyModel model;
  auto error = [&](const Plan &plan) {
    model.write(0, toyLayers);
    Manifest m = model.manifest(plan);
    m.model.maxPositions = 1 << 30;
    Expected<Artifact> artifact = model.artifact(m);
    Expected<Weights> weights = Weights::open(model.directory.path);
    EXPECT_TRUE(artifact && weights);
    test::AddressSpaceLimit limit(64 << 20);
    Expected<Session> session = Session::create(*artifact, *weights);
    return session ? std::string() : session.error().message;
  };
  // A position takes 8 bytes of the rotation on each of 21 ranks, 2 x 4 (two
  // masks) in one column of each of four grid rows, and 4 at the client.
  std::string apart = error(figure());
  EXPECT_NE(apart.find("toy.rshard: a session of 1073741824 positions: 6"),
            std::string::npos)
      << apart;
  EXPECT_NE(apart.find(" MB of memory are available, "), std::string::npos)
      << apart;
  EXPECT_NE(apart.find(" are needed: 219.1 GB for tables, "), std::string::npos)
      << apart;
  EXPECT_TRUE(apart.ends_with(" of 1073741824 positions fit")) << apart;
  // On one rank four columns that are as long as the longest, 2/7.
  Plan together = figure();
  ASSERT_TRUE(tokenset::place(together, 1));
  std::string one = error(together);
  EXPECT_NE(one.find("22.8 GB for tables"), std::string::npos) << one;
}

TEST(Session, BidirectionalModelsTakeOneStep) {
  ToyModel model;
  Manifest m = model.manifest(figure());
  m.model.bidirectional = true;
  Expected<Session> session =
      model.session(m, {.capacity = 20, .largestStep = 10});
  ASSERT_TRUE(session);
  auto tokens = someTokens(10);
  EXPECT_TRUE(session->step(tokens, 0));
  EXPECT_NE(session->step(tokens, 5).error().message.find("one step"),
            std::string::npos);
  EXPECT_NE(
      session->step(someTokens(11), 0).error().message.find("cannot be cut"),
      std::string::npos);
}

TEST(Session, ReceivesWhatThePlanSaysAndNothingElse) {
  ToyModel model;
  Plan plan = figure();
  Expected<Session> session = model.session(plan, {.receiveLog = true});
  ASSERT_TRUE(session);
  constexpr int64_t n = 16;
  ASSERT_TRUE(session->step(someTokens(n), 0));
  // (rank, exchange, layer, tensor) -> positions, by brute force over nodes,
  // each of which is a rank of its own.
  using Key = std::tuple<int32_t, int32_t, int32_t, int32_t, int32_t>;
  std::map<Key, std::set<int32_t>> expected, seen;
  for (int32_t p = 0; p != n; ++p) {
    int32_t owner = plan.compNode(plan.R.owner(p));
    expected[{owner, 0, 0, 0, 0}].insert(p);
    if (p == n - 1)
      expected[{0, owner, 5, 0, 0}].insert(p);
    for (int32_t layer = 0; layer != toyLayers; ++layer) {
      int32_t c = toyMasks[static_cast<size_t>(layer)];
      int32_t capacity = 40;
      for (int32_t j = 0; j != plan.queryShards(); ++j)
        for (int32_t k = 0; k != plan.keyShards(); ++k) {
          int32_t cell = plan.attnNode(j, k);
          auto visible = [&](int32_t query, int32_t key) {
            return key <= query && (c == 0 || query - key < 3);
          };
          bool shown = false, wanted = false;
          for (int32_t other = 0; other != capacity; ++other) {
            shown |= plan.T.owner(other) == k && visible(p, other);
            wanted |= plan.S.owner(other) == j && visible(other, p);
          }
          if (plan.S.owner(p) == j && shown) {
            expected[{cell, owner, 1 + 2 * c, layer, 0}].insert(p);
            expected[{owner, cell, 2 + 2 * c, layer, 0}].insert(p);
            expected[{owner, cell, 2 + 2 * c, layer, 1}].insert(p);
          }
          if (plan.T.owner(p) == k && wanted) {
            expected[{cell, owner, 1 + 2 * c, layer, 1}].insert(p);
            expected[{cell, owner, 1 + 2 * c, layer, 2}].insert(p);
          }
        }
    }
  }
  for (const ReceiveRecord &entry : session->receiveLog())
    for (int32_t p : entry.positions) {
      // The client sends with rank 0 as source.
      bool isNew = seen[{entry.rank, entry.source, entry.exchange, entry.layer,
                         entry.tensor}]
                       .insert(p)
                       .second;
      EXPECT_TRUE(isNew) << "row " << p << " twice";
    }
  EXPECT_EQ(seen, expected);
}

TEST(Session, CountsThePredictedBytes) {
  ToyModel model;
  for (int64_t ranks : {1, 3, 7, 21}) {
    Plan plan = figure();
    ASSERT_TRUE(tokenset::place(plan, ranks));
    Expected<Session> session = model.session(plan);
    ASSERT_TRUE(session);
    std::vector<tokenset::Mask> masks;
    for (int32_t c : toyMasks)
      masks.push_back(session->manifest().model.masks[static_cast<size_t>(c)]);
    auto predictor =
        tokenset::Predictor::create(plan, masks, 40, {8, 8, 8, 8, 8, 8, 4});
    ASSERT_TRUE(predictor) << predictor.error().message;
    using Key = std::tuple<int, int32_t, int32_t, int32_t>;
    std::map<Key, int64_t> expected, seen;
    std::vector<int32_t> tokens = someTokens(17);
    int64_t position = 0;
    for (int64_t rows : {13, 1, 1, 2}) {
      ASSERT_TRUE(
          session->step(std::span(tokens).subspan(static_cast<size_t>(position),
                                                  static_cast<size_t>(rows)),
                        position));
      auto edges = predictor->predict({position, rows, 1});
      ASSERT_TRUE(edges);
      for (const tokenset::Edge &edge : *edges)
        if (edge.bytes)
          expected[{static_cast<int>(edge.exchange), edge.source,
                    edge.destination, edge.tensor}] += edge.bytes;
      position += rows;
    }
    for (const EdgeCount &edge : session->counts()) {
      int kind = edge.exchange == 0   ? 0
                 : edge.exchange == 5 ? 3
                                      : 2 - edge.exchange % 2;
      seen[{kind, edge.source, edge.destination, edge.tensor}] +=
          static_cast<int64_t>(edge.sentBytes);
    }
    EXPECT_EQ(seen, expected) << ranks << " ranks";
  }
}

TEST(Session, MissesASilencedEdge) {
  ToyModel model;
  Plan plan = figure();
  auto tokens = someTokens(14);
  Expected<Session> session = model.session(
      plan, {.allRows = true, .poison = true, .receiveLog = true});
  ASSERT_TRUE(session);
  std::vector<float> good = runSteps(*session, tokens, {14});
  const std::vector<ReceiveRecord> log = session->receiveLog();
  int keys = 0, missedKeys = 0;
  for (size_t i = 0; i < log.size(); i += 7) {
    session->setMuted(
        {{log[i].exchange, log[i].source, log[i].rank, -1, log[i].tensor}});
    std::vector<float> bad = runSteps(*session, tokens, {14});
    bool missed = std::any_of(bad.begin(), bad.end(),
                              [](float x) { return std::isnan(x); });
    // A key may be there for queries that are yet to come.
    bool isKey =
        log[i].exchange % 2 == 1 && log[i].exchange != 5 && log[i].tensor != 0;
    EXPECT_TRUE(missed || isKey);
    keys += isKey;
    missedKeys += isKey && missed;
    session->setMuted({});
    EXPECT_EQ(runSteps(*session, tokens, {14}), good);
  }
  EXPECT_GT(missedKeys, keys / 2);
}

TEST(Session, SessionsAreIndependent) {
  ToyModel model;
  Expected<Session> one = model.session(figure(), {.allRows = true});
  Expected<Session> two = model.session(figure(), {.allRows = true});
  ASSERT_TRUE(one && two);
  auto a = someTokens(12), b = someTokens(12);
  b[0] = 4;
  std::vector<float> got;
  runSteps(*one, a, {6});
  EXPECT_EQ(runSteps(*two, b, {5}), toyResults(b, figure()));
  EXPECT_EQ(one->length(), 12);
  EXPECT_EQ(runSteps(*one, a, {12}), toyResults(a, figure()));
  EXPECT_GT(one->arenaBytes(), 21u * 64);
}

TEST(Session, ArenasFollowTheTypesOfBuffers) {
  auto bytes = [](ElementType type, int64_t width) {
    ToyModel model;
    Manifest m = model.manifest(figure());
    EXPECT_EQ(m.buffers.back().name, "workspace");
    m.buffers.back().type = type;
    m.buffers.back().width = width;
    Expected<Session> session = model.session(m);
    EXPECT_TRUE(session);
    return session ? session->arenaBytes() : 0;
  };
  // Rows of 64 bytes, and of 128.
  EXPECT_EQ(bytes(ElementType::BF16, 32), bytes(ElementType::F32, 16));
  EXPECT_EQ(bytes(ElementType::F16, 32), bytes(ElementType::I32, 16));
  EXPECT_LT(bytes(ElementType::BF16, 32), bytes(ElementType::F32, 32));
}

} // namespace
} // namespace rshard::runtime
