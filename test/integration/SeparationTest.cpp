//===- SeparationTest.cpp - every node knows only what it was sent --------===//
//
// Section 8 of the design: nothing that was not sent is read, everything that
// is sent is needed, and what is sent is what R, S and T say.
//
//===----------------------------------------------------------------------===//

#include "Compiled.h"
#include "ExpectedTraffic.h"
#include "rshard/tokenset/Exchange.h"
#include "rshard/tokenset/Prediction.h"
#include "rshard/tokenset/RowOrder.h"
#include <cmath>
#include <gtest/gtest.h>
#include <map>

using namespace rshard;
using namespace rshard::integration;
using runtime::EdgeCount;
using runtime::ReceiveRecord;
using runtime::Session;
using runtime::Want;

namespace {

constexpr int64_t kCapacity = 96;

class SeparationTest : public testing::TestWithParam<Subject> {
protected:
  const Model &golden = model(GetParam().model);
  tokenset::Plan plan = planOf(GetParam());
  Reference reference{golden};
  std::vector<int32_t> tokens = reference.tokens(64);
  bool causal = !reference.greedy().empty();

  /// Apart, together and two random ones.
  std::vector<tokenset::Plan> everyPlacement() const {
    return placements(plan, 2, 7);
  }
  /// Steps of many shapes: prefill, decode, chunks, going back (C5).
  std::vector<StepShape> steps() const {
    if (!causal)
      return {{0, 1, 1}, {0, 2, 2}, {0, 61, 1}, {0, 64, 64}};
    return {{0, 1, 1},  {1, 1, 1},   {2, 7, 7},  {9, 30, 1},
            {39, 1, 1}, {12, 40, 1}, {52, 1, 1}, {5, 59, 0}};
  }
  runtime::Rows run(Session &session, const StepShape &step) {
    auto rows = session.step(
        std::span(tokens).subspan(step.position, step.rows), step.position,
        step.wanted == 0   ? Want::None
        : step.wanted == 1 ? Want::Last
                           : Want::All);
    EXPECT_TRUE(rows) << (rows ? "" : rows.error().message);
    return rows ? *rows : runtime::Rows();
  }
};

} // namespace

TEST_P(SeparationTest, PoisonChangesNothing) {
  for (const tokenset::Plan &placed : everyPlacement()) {
    SCOPED_TRACE(describePlacement(placed));
    Session clean = createSession(golden, placed, {.capacity = kCapacity});
    Session poisoned =
        createSession(golden, placed, {.capacity = kCapacity, .poison = true});
    for (const StepShape &step : steps()) {
      runtime::Rows a = run(clean, step), b = run(poisoned, step);
      ASSERT_EQ(a.rows * a.width, b.rows * b.width);
      for (int64_t i = 0; i != a.rows * a.width; ++i)
        ASSERT_EQ(a.data[i], b.data[i]) << "position " << step.position << ", "
                                        << step.rows << " rows, value " << i;
    }
  }
}

TEST_P(SeparationTest, NodesReceiveWhatTheSetsSay) {
  for (const tokenset::Plan &placed : everyPlacement()) {
    SCOPED_TRACE(describePlacement(placed));
    Session session = createSession(
        golden, placed, {.capacity = kCapacity, .receiveLog = true});
    for (const StepShape &step : steps()) {
      SCOPED_TRACE("position " + std::to_string(step.position) + ", " +
                   std::to_string(step.rows) + " rows");
      session.clearReceiveLog();
      run(session, step);
      std::vector<ReceiveRecord> expected =
          expectedTraffic(placed, session.manifest().model, kCapacity, step);
      std::vector<ReceiveRecord> actual = session.receiveLog();
      sortRecords(actual);
      EXPECT_EQ(placed.rankCount() == 1, actual.empty());
      ASSERT_EQ(actual.size(), expected.size());
      for (size_t i = 0; i != actual.size(); ++i)
        ASSERT_EQ(actual[i], expected[i])
            << "exchange " << actual[i].exchange << ", layer "
            << actual[i].layer << ", from " << actual[i].source << " to "
            << actual[i].rank << ", tensor " << actual[i].tensor;
    }
  }
}

// C7, against the predictor; and against the rows that the log shows, so that
// a row is what its width says.
TEST_P(SeparationTest, BytesAreThePredictedOnes) {
  using Key = std::tuple<tokenset::ExchangeKind, int32_t, int32_t, int32_t>;
  for (const tokenset::Plan &placed : everyPlacement()) {
    SCOPED_TRACE(describePlacement(placed));
    Session session = createSession(
        golden, placed, {.capacity = kCapacity, .receiveLog = true});
    const runtime::ModelInfo &info = session.manifest().model;
    int64_t f32 = 4;
    tokenset::RowBytes bytes;
    bytes.enter = bytes.leave = info.leaveWidth * f32;
    bytes.query = bytes.partial = info.heads * info.headSize * f32;
    bytes.key = bytes.value = info.kvHeads * info.headSize * f32;
    bytes.lse = info.heads * f32;
    std::vector<tokenset::Mask> layerMasks;
    for (int64_t i = placed.clientFirst; i != info.layers - placed.clientLast;
         ++i)
      layerMasks.push_back(info.masks[info.layerMask[i]]);
    auto predictor =
        tokenset::Predictor::create(placed, layerMasks, kCapacity, bytes);
    ASSERT_TRUE(predictor) << predictor.error().message;

    auto kindOf = [&](int32_t exchange) {
      int32_t leave = tokenset::leaveExchange(info.masks.size());
      return exchange == 0       ? tokenset::ExchangeKind::Enter
             : exchange == leave ? tokenset::ExchangeKind::Leave
             : exchange % 2      ? tokenset::ExchangeKind::Up
                                 : tokenset::ExchangeKind::Down;
    };
    std::map<Key, uint64_t> predicted, sent, received, logged;
    for (const StepShape &step : steps()) {
      run(session, step);
      auto edges = predictor->predict({step.position, step.rows, step.wanted});
      ASSERT_TRUE(edges) << edges.error().message;
      for (const tokenset::Edge &edge : *edges)
        if (edge.source != edge.destination)
          predicted[{edge.exchange, edge.source, edge.destination,
                     edge.tensor}] += static_cast<uint64_t>(edge.bytes);
    }
    for (const EdgeCount &edge : session.counts()) {
      EXPECT_NE(edge.source, edge.destination);
      Key key = {kindOf(edge.exchange), edge.source, edge.destination,
                 edge.tensor};
      sent[key] += edge.sentBytes;
      received[key] += edge.receivedBytes;
    }
    for (const ReceiveRecord &record : session.receiveLog())
      logged[{kindOf(record.exchange), record.source, record.rank,
              record.tensor}] +=
          record.positions.size() * f32 *
          static_cast<uint64_t>(session.manifest()
                                    .exchanges[record.exchange]
                                    .tensors[record.tensor]
                                    .width);
    EXPECT_EQ(sent, predicted);
    EXPECT_EQ(received, predicted);
    EXPECT_EQ(logged, predicted);
    EXPECT_EQ(sent.empty(), placed.rankCount() == 1);
  }
}

// With the capacity filled and every result asked for, no message may be
// switched off unnoticed: everything that is sent is needed. But where every
// row has one partial that is its result, nobody reads its log-sum-exp.
TEST_P(SeparationTest, EveryMessageMatters) {
  int64_t rows = 24;
  std::vector<int32_t> prompt(tokens.begin(), tokens.begin() + rows);
  Session session = createSession(
      golden, plan, {.capacity = rows, .poison = true, .receiveLog = true});
  std::vector<float> right = runAtOnce(session, prompt);
  std::vector<ReceiveRecord> messages = session.receiveLog();
  ASSERT_FALSE(messages.empty());
  for (const ReceiveRecord &message : messages) {
    session.setMuted({{message.exchange, message.source, message.rank,
                       message.layer, message.tensor}});
    const runtime::ExchangeSpec &exchange =
        session.manifest().exchanges[message.exchange];
    if (tokenset::keepsRowOrder(plan) &&
        exchange.tensors[message.tensor].name == "partial.lse") {
      EXPECT_EQ(runAtOnce(session, prompt), right);
      continue;
    }
    // What is missing is poisoned, so that it shows as NaN.
    EXPECT_TRUE(std::isnan(relativeError(runAtOnce(session, prompt), right)))
        << "exchange " << message.exchange << ", layer " << message.layer
        << ", from " << message.source << " to " << message.rank << ", tensor "
        << message.tensor;
  }
  session.setMuted({});
  EXPECT_EQ(runAtOnce(session, prompt), right);
}

INSTANTIATE_TEST_SUITE_P(Models, SeparationTest, testing::ValuesIn(subjects()),
                         [](const auto &info) { return nameOf(info.param); });
