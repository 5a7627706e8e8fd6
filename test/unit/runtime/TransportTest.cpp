#include "HostCodeImports.h"
#include "HostDevice.h"
#include "LocalTransport.h"

#include <functional>
#include <gtest/gtest.h>

namespace rshard::runtime {
namespace {

constexpr int f32 = RSHARD_NCCL_FLOAT32;

/// What generated code calls.
const rshard_import_table &code = hostCodeImports();

/// Runs one function per rank.
class Ranks {
public:
  explicit Ranks(int32_t count, std::vector<ExchangeSpec> exchanges = {})
      : transport(std::move(
            *LocalTransport::create(device, count, std::move(exchanges)))) {}

  Expected<void> run(std::function<void(int32_t)> body) {
    program = std::move(body);
    return transport->run(
        [](void *self, int32_t rank) {
          static_cast<Ranks *>(self)->program(rank);
        },
        this);
  }
  std::string errorOf(std::function<void(int32_t)> body) {
    Expected<void> result = run(std::move(body));
    return result ? "" : result.error().message;
  }
  int send(int32_t rank, const float *data, size_t count, int peer,
           int type = f32) {
    return code.ncclSend(data, count, type, peer, transport->communicator(rank),
                         nullptr);
  }
  int receive(int32_t rank, float *data, size_t count, int peer,
              int type = f32) {
    return code.ncclRecv(data, count, type, peer, transport->communicator(rank),
                         nullptr);
  }

  HostDevice device;
  std::unique_ptr<LocalTransport> transport;
  std::function<void(int32_t)> program;
};

#define EXPECT_HAS(message, text)                                              \
  EXPECT_NE((message).find(text), std::string::npos) << (message)

TEST(Transport, ExchangesInARing) {
  Ranks ranks(5);
  std::vector<float> held{0, 1, 2, 3, 4}, got(5, -1);
  for (int round = 0; round != 3; ++round) {
    Expected<void> result = ranks.run([&](int32_t r) {
      code.ncclGroupStart();
      ranks.send(r, &held[static_cast<size_t>(r)], 1, (r + 1) % 5);
      ranks.receive(r, &got[static_cast<size_t>(r)], 1, (r + 4) % 5);
      code.ncclGroupEnd();
    });
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(got, (std::vector<float>{4, 0, 1, 2, 3}));
  }
  std::vector<EdgeCount> counts = ranks.transport->counts();
  ASSERT_EQ(counts.size(), 5u);
  EXPECT_EQ(counts[1], (EdgeCount{0, 0, 1, 2, 12, 12, 3}));
  ranks.transport->resetCounts();
  EXPECT_TRUE(ranks.transport->counts().empty());
}

TEST(Transport, MatchesInOrderBetweenTwoRanksAndWithOneself) {
  Ranks ranks(2);
  float first = 1, second = 2, a = 0, b = 0, own = 3, mine = 0;
  ASSERT_TRUE(ranks.run([&](int32_t r) {
    code.ncclGroupStart();
    code.ncclGroupStart(); // groups nest
    if (r == 0) {
      ranks.send(r, &first, 1, 1);
      ranks.send(r, &second, 1, 1);
      ranks.send(r, &own, 1, 0);
      ranks.receive(r, &mine, 1, 0);
    }
    code.ncclGroupEnd();
    if (r == 1) {
      ranks.receive(r, &a, 1, 0);
      ranks.receive(r, &b, 1, 0);
    }
    code.ncclGroupEnd();
  }));
  EXPECT_EQ(a, 1);
  EXPECT_EQ(b, 2);
  EXPECT_EQ(mine, 3);
}

TEST(Transport, EmptyGroupsDoNotBlock) {
  Ranks ranks(3);
  std::vector<int32_t> order;
  ASSERT_TRUE(ranks.run([&](int32_t r) {
    for (int i = 0; i != 100; ++i) {
      code.ncclGroupStart();
      code.ncclGroupEnd();
    }
    order.push_back(r);
  }));
  EXPECT_EQ(order, (std::vector<int32_t>{0, 1, 2}));
}

TEST(Transport, RunsRanksInTurn) {
  Ranks ranks(3);
  std::vector<int32_t> order;
  float data[3] = {}, got[3] = {};
  ASSERT_TRUE(ranks.run([&](int32_t r) {
    order.push_back(r);
    code.ncclGroupStart();
    ranks.send(r, &data[r], 1, (r + 1) % 3);
    ranks.receive(r, &got[r], 1, (r + 2) % 3);
    code.ncclGroupEnd();
    order.push_back(r);
  }));
  // 0 and 1 wait for 2, which goes on; then they follow in order.
  EXPECT_EQ(order, (std::vector<int32_t>{0, 1, 2, 2, 0, 1}));
}

TEST(Transport, NamesBothEndsOfAMismatch) {
  Ranks ranks(2);
  float x[4] = {};
  std::string error = ranks.errorOf([&](int32_t r) {
    code.rshard_exchange(nullptr, 3, 7);
    r == 0 ? ranks.send(r, x, 2, 1) : ranks.receive(r, x, 3, 0);
  });
  EXPECT_HAS(error, "rank 0 sends 2 f32 elements (8 bytes) to rank 1 in "
                    "exchange "
                    "3, layer 7");
  EXPECT_HAS(error, "rank 1 receives 3 f32 elements (12 bytes)");
  error = ranks.errorOf([&](int32_t r) {
    r == 0 ? ranks.send(r, x, 2, 1, RSHARD_NCCL_INT32)
           : ranks.receive(r, x, 2, 0);
  });
  EXPECT_HAS(error, "rank 0 sends 2 i32 elements");
  EXPECT_HAS(error, "rank 1 receives 2 f32 elements");
  error = ranks.errorOf([&](int32_t r) {
    code.rshard_exchange(nullptr, 0, r);
    r == 0 ? ranks.send(r, x, 2, 1) : ranks.receive(r, x, 2, 0);
  });
  EXPECT_HAS(error, "layer 1");
}

TEST(Transport, DetectsDeadlocks) {
  Ranks ranks(3);
  float x = 0;
  std::string error = ranks.errorOf([&](int32_t r) {
    code.rshard_exchange(nullptr, 1, 2);
    if (r != 0)
      ranks.receive(r, &x, 1, 3 - r);
  });
  EXPECT_HAS(error,
             "no rank can go on: rank 1 waits for 1 f32 elements (4 bytes) "
             "from rank 2 in exchange 1, layer 2; rank 2 waits");
  error = ranks.errorOf([&](int32_t r) {
    if (r == 1)
      ranks.send(r, &x, 1, 2);
  });
  EXPECT_HAS(error,
             "rank 1 sends 1 f32 elements (4 bytes) to rank 2, which has "
             "ended its step");
  // The transport is as good as new.
  float y = 4;
  ASSERT_TRUE(ranks.run([&](int32_t r) {
    if (r == 1)
      ranks.send(r, &y, 1, 2);
    if (r == 2)
      ranks.receive(r, &x, 1, 1);
  }));
  EXPECT_EQ(x, 4);
}

TEST(Transport, RefusesAStepInsideAStep) {
  Ranks outer(1), inner(1);
  std::string error;
  ASSERT_TRUE(
      outer.run([&](int32_t) { error = inner.errorOf([](int32_t) {}); }));
  EXPECT_EQ(error, "a step was started from inside a step");
  EXPECT_EQ(inner.errorOf([](int32_t) {}), "");
}

TEST(Transport, ListsSomeOfManyWaitingRanks) {
  Ranks ranks(20);
  float data = 0;
  std::string error = ranks.errorOf(
      [&](int32_t r) { ranks.receive(r, &data, 1, (r + 1) % 20); });
  EXPECT_EQ(error.substr(error.rfind("; ")), "; and 12 more");
}

TEST(Transport, RefusesWrongUse) {
  Ranks ranks(2);
  float x = 0;
  EXPECT_HAS(ranks.errorOf([&](int32_t r) { ranks.send(r, &x, 1, 2); }),
             "rank 2 of 2");
  EXPECT_HAS(ranks.errorOf([&](int32_t r) { ranks.send(r, &x, 1, 1, 5); }),
             "type 5");
  EXPECT_HAS(ranks.errorOf([&](int32_t r) { ranks.send(1 - r, &x, 1, 1); }),
             "communicator");
  EXPECT_HAS(ranks.errorOf([&](int32_t r) { code.ncclGroupStart(); }),
             "inside a group");
  EXPECT_HAS(
      ranks.errorOf([&](int32_t r) { code.rshard_exchange(nullptr, -1, 0); }),
      "exchange -1");
  // Outside of a step there is nobody to talk to.
  EXPECT_NE(code.ncclGroupStart(), 0);
  EXPECT_NE(code.ncclGroupEnd(), 0);
  EXPECT_NE(ranks.send(0, &x, 1, 1), 0);
  HostDevice device;
  EXPECT_FALSE(LocalTransport::create(device, 0, {}));
}

/// Two ranks; 0 sends rows 5 and 7 of tensor `a` (width 2) and one row of `b`
/// (width 1) to 1.
class RoutedTransport : public testing::Test {
protected:
  explicit RoutedTransport(ElementType a = ElementType::F32,
                           ElementType b = ElementType::F32)
      : ranks(2,
              {{"first", "t", {}},
               {"up0", "t", {{"a", 2, a, "p", "q"}, {"b", 1, b, "p", "q"}}}}) {
    for (int32_t r = 0; r != 2; ++r)
      ranks.transport->setRoutes(
          r, {{&nothing, {}},
              {&transfers[r], {{&pack, &positions}, {&pack, &positions}}}});
    ranks.transport->setReceiveLog(true);
  }

  void messages(int32_t r) {
    code.rshard_exchange(nullptr, 0, 0);
    code.rshard_exchange(nullptr, 1, 4);
    code.ncclGroupStart();
    if (r == 0) {
      ranks.send(r, sent, sentA, 1, typeA);
      if (sendB)
        ranks.send(r, sent + 4, 1, 1, typeB);
    } else {
      ranks.receive(r, got, 4, 0, typeA);
      ranks.receive(r, got + 4, 1, 0, typeB);
    }
    code.ncclGroupEnd();
  }
  auto body() {
    return [this](int32_t r) { messages(r); };
  }

  std::vector<int32_t> nothing, pack{1, 2, 0}, positions{3, 5, 7};
  std::vector<int32_t> transfers[2] = {{0, 1, 1, 0, 2, 1, 1, 1, 2, 1},
                                       {0, 0, 0, 0, 2, 1, 0, 0, 2, 1}};
  float sent[5] = {1, 2, 3, 4, 5}, got[5] = {};
  size_t sentA = 4;
  bool sendB = true;
  int typeA = f32, typeB = f32;
  Ranks ranks;
};

TEST_F(RoutedTransport, CountsAndLogsByTensor) {
  ASSERT_TRUE(ranks.run(body()));
  ASSERT_TRUE(ranks.run(body()));
  EXPECT_EQ(got[4], 5);
  EXPECT_EQ(
      ranks.transport->counts(),
      (std::vector<EdgeCount>{{1, 0, 0, 1, 32, 32, 2}, {1, 1, 0, 1, 8, 8, 2}}));
  const std::vector<ReceiveRecord> &log = ranks.transport->receiveLog();
  ASSERT_EQ(log.size(), 4u);
  EXPECT_EQ(log[0], (ReceiveRecord{1, 0, 1, 4, 0, {5, 7}}));
  EXPECT_EQ(log[1], (ReceiveRecord{1, 0, 1, 4, 1, {3}}));
  ranks.transport->clearReceiveLog();
  EXPECT_TRUE(ranks.transport->receiveLog().empty());
}

TEST_F(RoutedTransport, MutesAnEdge) {
  ranks.transport->setMuted({{1, 0, 1, -1, 1}});
  ASSERT_TRUE(ranks.run(body()));
  EXPECT_EQ(got[0], 1);
  EXPECT_EQ(got[4], 0);
  EXPECT_EQ(ranks.transport->counts().size(), 2u);
  ranks.transport->setMuted({{1, 0, 1, 3, -1}}); // another layer
  ASSERT_TRUE(ranks.run(body()));
  EXPECT_EQ(got[4], 5);
}

TEST_F(RoutedTransport, HoldsProgramsToTheRouteTable) {
  sentA = 2;
  EXPECT_HAS(ranks.errorOf(body()),
             "rank 0, exchange up0, layer 4: sends 2 elements with rank 1, but "
             "its route table says 2 rows of a (4 elements) with rank 1");
  sentA = 4;
  sendB = false;
  EXPECT_HAS(ranks.errorOf(body()), "1 messages, its route table has 2");
  transfers[1].resize(5);
  EXPECT_HAS(ranks.errorOf(body()), "more messages than its route table");
  transfers[0].resize(5);
  transfers[1] = {0, 0, 0, 0, 2, 1, 0, 0, 2, 1};
  EXPECT_HAS(ranks.errorOf(body()), "1 rows of b");
  EXPECT_HAS(ranks.errorOf([&](int32_t r) { ranks.send(r, sent, 4, 1); }),
             "outside of any exchange");
  EXPECT_HAS(
      ranks.errorOf([&](int32_t r) { code.rshard_exchange(nullptr, 2, 0); }),
      "exchange 2 of 2");
  EXPECT_HAS(ranks.errorOf([&](int32_t r) {
    code.rshard_exchange(nullptr, 1, 0);
    code.rshard_exchange(nullptr, 0, 0);
  }),
             "0 messages, its route table has 1");
}

/// The same with rows of two bytes an element.
class NarrowTransport : public RoutedTransport {
protected:
  NarrowTransport() : RoutedTransport(ElementType::BF16, ElementType::F16) {
    typeA = RSHARD_NCCL_BFLOAT16;
    typeB = RSHARD_NCCL_FLOAT16;
  }
};

TEST_F(NarrowTransport, CountsTheBytesOfTheTypes) {
  ASSERT_TRUE(ranks.run(body()));
  EXPECT_EQ(
      ranks.transport->counts(),
      (std::vector<EdgeCount>{{1, 0, 0, 1, 8, 8, 1}, {1, 1, 0, 1, 2, 2, 1}}));
  EXPECT_EQ(got[1], 2); // four elements are the first two floats
  EXPECT_EQ(got[2], 0);
}

TEST_F(NarrowTransport, HoldsProgramsToTheTypes) {
  typeB = RSHARD_NCCL_BFLOAT16;
  EXPECT_HAS(ranks.errorOf(body()),
             "rank 0, exchange up0, layer 4: sends bf16 elements, but rows of "
             "b are f16");
}

} // namespace
} // namespace rshard::runtime
