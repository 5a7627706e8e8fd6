// The interface from C: what it refuses, and that nothing is thrown through it.

#include "AddressSpaceLimit.h"
#include "AllocationCounter.h"
#include "CGuard.h"
#include "ToyModel.h"
#include "rshard/runtime/Pool.h"
#include "rshard/runtime/rshard.h"
#include "rshard/tokenset/ClusterRule.h"

#include <cmath>
#include <stdexcept>

namespace rshard::runtime {
namespace {

/// A message that a function stored, if any.
class Message {
public:
  ~Message() { rshard_free_error(text); }
  char **out() {
    rshard_free_error(text);
    text = nullptr;
    return &text;
  }
  std::string str() const { return text ? text : ""; }

private:
  char *text = nullptr;
};

/// The toy model on disk, opened from C.
class CInterface : public testing::Test {
protected:
  CInterface() {
    model.write(0, toyLayers);
    manifest = model.manifest(plan);
    manifest.model.endTokens = {5, 7};
    EXPECT_TRUE(model.artifact(manifest));
  }
  ~CInterface() override {
    rshard_artifact_free(artifact);
    rshard_weights_free(weights);
    rshard_session_free(session);
  }
  void open() {
    artifact = rshard_artifact_open(path().c_str(), error.out());
    ASSERT_NE(artifact, nullptr) << error.str();
    weights = rshard_weights_open(model.directory.path.c_str(), error.out());
    ASSERT_NE(weights, nullptr) << error.str();
  }
  void create() {
    open();
    session = rshard_session_create(artifact, weights, &options, error.out());
    ASSERT_NE(session, nullptr) << error.str();
  }
  std::string path() const { return model.directory / "toy.rshard"; }

  ToyModel model;
  tokenset::Plan plan = *tokenset::makePlan({});
  Manifest manifest;
  rshard_session_options options{20, 0, 1, 0};
  Message error;
  rshard_artifact *artifact = nullptr;
  rshard_weights *weights = nullptr;
  rshard_session *session = nullptr;
};

TEST_F(CInterface, SaysHowMuchMemoryASessionNeeds) {
  manifest.model.maxPositions = 1 << 30;
  EXPECT_TRUE(model.artifact(manifest));
  open();
  options.capacity = 1 << 30;
  test::AddressSpaceLimit limit(64 << 20);
  session = rshard_session_create(artifact, weights, &options, error.out());
  EXPECT_EQ(session, nullptr);
  EXPECT_NE(error.str().find("are available, "), std::string::npos)
      << error.str();
}

TEST_F(CInterface, TellsOfTheModel) {
  open();
  rshard_model_info info;
  ASSERT_EQ(rshard_artifact_model(artifact, &info, error.out()), 0);
  const ModelInfo &model = manifest.model;
  EXPECT_EQ(info.vocabulary, model.vocabulary);
  EXPECT_EQ(info.leave_width, model.leaveWidth);
  EXPECT_EQ(info.positions, model.maxPositions);
  EXPECT_EQ(info.has_head, 1);
  EXPECT_EQ(info.bidirectional, 0);
  EXPECT_EQ(std::vector<int32_t>(info.end_tokens,
                                 info.end_tokens + info.end_token_count),
            (std::vector<int32_t>{5, 7}));
  EXPECT_EQ(rshard_artifact_model(nullptr, &info, error.out()), -1);
  EXPECT_EQ(error.str(), "artifact is NULL");
  EXPECT_EQ(rshard_artifact_model(artifact, nullptr, error.out()), -1);
  EXPECT_EQ(error.str(), "info is NULL");
}

TEST_F(CInterface, RefusesAPlanThatIsNone) {
  manifest.plan = "{}";
  ASSERT_TRUE(model.artifact(manifest));
  EXPECT_EQ(rshard_artifact_open(path().c_str(), error.out()), nullptr);
  EXPECT_NE(error.str().find("toy.rshard: plan: "), std::string::npos)
      << error.str();
}

/// The message of a count that no position can be added to.
TEST_F(CInterface, HugeStep) {
  create();
  std::vector<int32_t> tokens = someTokens(5);
  const float *rows = nullptr;
  ASSERT_EQ(
      rshard_session_step(session, tokens.data(), 5, 0, 0, &rows, error.out()),
      1);
  EXPECT_EQ(rshard_session_step(session, tokens.data(), INT64_MAX, 5, 0, &rows,
                                error.out()),
            -1);
  EXPECT_EQ(error.str(), "9223372036854775807 tokens from position 5 are "
                         "beyond the capacity of 20");
}

TEST_F(CInterface, RunsASession) {
  create();
  rshard_artifact_free(std::exchange(artifact, nullptr));
  rshard_weights_free(std::exchange(weights, nullptr));
  std::vector<int32_t> tokens = someTokens(9);
  const float *rows = nullptr;
  ASSERT_EQ(
      rshard_session_step(session, tokens.data(), 9, 0, 1, &rows, error.out()),
      9);
  EXPECT_EQ(std::vector<float>(rows, rows + 9 * toyVocabulary),
            toyResults(tokens, plan));
  EXPECT_EQ(rshard_session_width(session), toyVocabulary);
  EXPECT_EQ(rshard_session_length(session), 9);
  EXPECT_EQ(rshard_session_capacity(session), 20);
  EXPECT_EQ(
      rshard_session_step(session, tokens.data(), 1, 11, 0, &rows, error.out()),
      -1);
  EXPECT_NE(error.str().find("11"), std::string::npos) << error.str();
}

/// No file is needed, and the seed decides all of it.
TEST_F(CInterface, RandomWeights) {
  open();
  auto results = [&](uint64_t seed) {
    rshard_weights_free(weights);
    weights = rshard_weights_random(artifact, seed, error.out());
    EXPECT_NE(weights, nullptr) << error.str();
    rshard_session_free(session);
    session = rshard_session_create(artifact, weights, &options, error.out());
    EXPECT_NE(session, nullptr) << error.str();
    std::vector<int32_t> tokens = someTokens(5);
    const float *rows = nullptr;
    EXPECT_EQ(rshard_session_step(session, tokens.data(), 5, 0, 1, &rows,
                                  error.out()),
              5)
        << error.str();
    return std::vector<float>(rows, rows + 5 * toyVocabulary);
  };
  std::vector<float> first = results(1), second = results(2);
  EXPECT_EQ(first, results(1));
  EXPECT_NE(first, second);
  for (float value : first)
    EXPECT_TRUE(std::isfinite(value));
  EXPECT_EQ(rshard_weights_random(nullptr, 1, error.out()), nullptr);
  EXPECT_EQ(error.str(), "artifact is NULL");
}

TEST_F(CInterface, OptionsAndMessagesMayBeLeftOut) {
  open();
  session = rshard_session_create(artifact, weights, nullptr, nullptr);
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(rshard_session_capacity(session), 40);
  EXPECT_EQ(rshard_artifact_open("/nowhere", nullptr), nullptr);
}

TEST_F(CInterface, SaysWhichFileIsMissing) {
  EXPECT_EQ(rshard_artifact_open("/nowhere", error.out()), nullptr);
  EXPECT_NE(error.str().find("/nowhere"), std::string::npos) << error.str();
  EXPECT_EQ(rshard_weights_open("/nowhere", error.out()), nullptr);
  EXPECT_NE(error.str().find("/nowhere"), std::string::npos) << error.str();
}

TEST_F(CInterface, RefusesNull) {
  create();
  EXPECT_EQ(rshard_artifact_open(nullptr, error.out()), nullptr);
  EXPECT_EQ(error.str(), "path is NULL");
  EXPECT_EQ(rshard_weights_open(nullptr, error.out()), nullptr);
  EXPECT_EQ(error.str(), "model_directory is NULL");
  EXPECT_EQ(rshard_session_create(nullptr, weights, &options, error.out()),
            nullptr);
  EXPECT_EQ(error.str(), "artifact is NULL");
  EXPECT_EQ(rshard_session_create(artifact, nullptr, &options, error.out()),
            nullptr);
  EXPECT_EQ(error.str(), "weights is NULL");

  int32_t token = 1;
  const float *rows = nullptr;
  auto step = [&](rshard_session *session, const int32_t *tokens, int64_t count,
                  const float **rows) {
    EXPECT_EQ(
        rshard_session_step(session, tokens, count, 0, 0, rows, error.out()),
        -1);
    return error.str();
  };
  EXPECT_EQ(step(nullptr, &token, 1, &rows), "session is NULL");
  EXPECT_EQ(step(session, nullptr, 3, &rows), "tokens is NULL, count is 3");
  EXPECT_EQ(step(session, &token, 1, nullptr), "rows is NULL");
  EXPECT_EQ(step(session, &token, -2, &rows),
            "a negative number of tokens: -2");
  EXPECT_EQ(step(session, nullptr, 0, &rows),
            "a step needs at least one token");
  EXPECT_EQ(rshard_session_length(session), 0);

  EXPECT_EQ(rshard_session_length(nullptr), -1);
  EXPECT_EQ(rshard_session_capacity(nullptr), -1);
  EXPECT_EQ(rshard_session_width(nullptr), -1);
  rshard_artifact_free(nullptr);
  rshard_weights_free(nullptr);
  rshard_session_free(nullptr);
  rshard_free_error(nullptr);
}

TEST_F(CInterface, ExceptionsBecomeMessages) {
  auto thrown = [&](auto exception) {
    EXPECT_EQ(
        guarded(-1, error.out(), [&]() -> Expected<int> { throw exception; }),
        -1);
    return error.str();
  };
  EXPECT_EQ(thrown(std::runtime_error("no such thing")), "no such thing");
  EXPECT_EQ(thrown(std::bad_alloc()), "out of memory");
  EXPECT_EQ(thrown(7), "unknown exception");
  EXPECT_EQ(guarded(-1, nullptr, []() -> Expected<int> { throw 7; }), -1);
  EXPECT_EQ(guarded(-1, error.out(), []() -> Expected<int> { return 3; }), 3);
}

TEST_F(CInterface, OpeningWithoutMemory) {
  open();
  std::string file = path();
  const char *directory = model.directory.path.c_str();
  // The first allocation fails. Later ones would be no test: nlohmann's JSON
  // allocates in destructors.
  test::AllocationLimit none(0);
  EXPECT_EQ(rshard_artifact_open(file.c_str(), error.out()), nullptr);
  EXPECT_EQ(error.str(), "out of memory");
  EXPECT_EQ(rshard_weights_open(directory, error.out()), nullptr);
  EXPECT_EQ(error.str(), "out of memory");
  EXPECT_EQ(rshard_session_create(artifact, weights, &options, error.out()),
            nullptr);
  EXPECT_EQ(error.str(), "out of memory");
}

TEST_F(CInterface, StepsWithoutMemoryNeverWere) {
  create();
  threads(); // the process's workers are there already
  std::vector<int32_t> tokens = someTokens(12);
  const float *rows = nullptr;
  ASSERT_EQ(
      rshard_session_step(session, tokens.data(), 3, 0, 0, &rows, error.out()),
      1);
  // Every allocation of the next step fails once, also those below generated
  // code.
  int64_t allowed = 0, done = -1;
  for (; done < 0; ++allowed) {
    {
      test::AllocationLimit limit(allowed);
      done = rshard_session_step(session, tokens.data() + 3, 9, 3, 1, &rows,
                                 error.out());
    }
    ASSERT_EQ(rshard_session_length(session), done < 0 ? 3 : 12);
    if (done < 0)
      ASSERT_EQ(error.str(), "out of memory") << allowed;
  }
  EXPECT_GT(allowed, 10);
  EXPECT_EQ(done, 9);
  std::vector<float> expected = toyResults(tokens, plan);
  expected.erase(expected.begin(), expected.begin() + 3 * toyVocabulary);
  EXPECT_EQ(std::vector<float>(rows, rows + 9 * toyVocabulary), expected);
}

TEST(CInterfaceThreads, AsManyAsThereIsMemoryFor) {
  EXPECT_EQ(rshard_set_threads(3), 3);
  {
    test::AllocationLimit none(0);
    EXPECT_EQ(rshard_set_threads(3), 1);
  }
  std::vector<int> visits(1000);
  parallelFor(1000, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i != end; ++i)
      ++visits[static_cast<size_t>(i)];
  });
  EXPECT_EQ(visits, std::vector<int>(1000, 1));
  EXPECT_EQ(rshard_set_threads(0), threads());
}

} // namespace
} // namespace rshard::runtime
