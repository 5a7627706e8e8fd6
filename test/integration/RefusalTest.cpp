//===- RefusalTest.cpp - wrong input gets one clear line ------------------===//

#include "Compiled.h"
#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <random>

using namespace rshard;
using namespace rshard::integration;
using runtime::Artifact;
using runtime::Session;
using runtime::Weights;

namespace {

std::string readAll(const std::filesystem::path &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void writeAll(const std::filesystem::path &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

template <typename T>
std::string messageOf(const tokenset::Expected<T> &value) {
  return value ? "no error" : value.error().message;
}

const Model &llama() { return model("llama-tiny"); }
Session createLlama(runtime::SessionOptions options = {}) {
  return createSession(llama(), makePlan("figure"), std::move(options));
}

} // namespace

// What a bit flip leaves readable must still give the right answer.
TEST(RefusalTest, DamagedArtifacts) {
  tokenset::Plan plan = makePlan("figure");
  std::string bytes = readAll(artifactOf(llama(), plan).path());
  std::filesystem::path path = scratchDirectory() / "damaged";
  Reference reference(llama());
  Session whole = createLlama();
  std::vector<float> expected = runAtOnce(whole, reference.tokens(13));
  std::mt19937 random(1);
  int refused = 0;
  auto check = [&](const std::string &damaged, const std::string &what) {
    SCOPED_TRACE(what);
    writeAll(path, damaged);
    auto artifact = Artifact::open(path);
    if (!artifact) {
      ++refused;
      EXPECT_EQ(artifact.error().message.find('\n'), std::string::npos);
      EXPECT_NE(artifact.error().message.find(path.string()),
                std::string::npos);
      return;
    }
    auto session = Session::create(*artifact, weightsOf(llama()),
                                   {.capacity = 256, .allRows = true});
    ASSERT_TRUE(session) << session.error().message;
    EXPECT_EQ(runAtOnce(*session, reference.tokens(13)), expected);
  };
  for (int i = 0; i != 300; ++i) {
    // Half of them in the header and the tables, which are small.
    size_t size = i % 2 ? bytes.size() : std::min<size_t>(bytes.size(), 512);
    size_t bit = random() % (8 * size);
    std::string damaged = bytes;
    damaged[bit / 8] ^= static_cast<char>(1 << bit % 8);
    check(damaged, "bit " + std::to_string(bit));
  }
  EXPECT_GT(refused, 280); // padding between sections is not hashed
  int before = refused;
  for (int i = 0; i != 50; ++i) {
    size_t size = i < 25 ? i * 8 : random() % bytes.size();
    check(bytes.substr(0, size), "cut to " + std::to_string(size));
  }
  check(bytes + '\0', "one byte more");
  EXPECT_EQ(refused, before + 51);
}

TEST(RefusalTest, AnotherModel) {
  const Artifact &artifact = artifactOf(llama(), makePlan("figure"));
  for (const Model &other : models()) {
    if (other.name == llama().name)
      continue;
    auto session = Session::create(artifact, weightsOf(other));
    ASSERT_FALSE(session) << other.name;
    EXPECT_NE(session.error().message.find("model"), std::string::npos)
        << session.error().message;
  }
  // The same tensors under another configuration are another model (C10).
  std::filesystem::path directory = scratchDirectory();
  std::filesystem::copy(llama().directory, directory,
                        std::filesystem::copy_options::recursive);
  std::string config = readAll(directory / "config.json");
  size_t at = config.find("\"rms_norm_eps\": ");
  ASSERT_NE(at, std::string::npos);
  config.replace(at, 16, "\"rms_norm_eps\": 1");
  writeAll(directory / "config.json", config);
  auto weights = Weights::open(directory);
  ASSERT_TRUE(weights) << weights.error().message;
  EXPECT_FALSE(Session::create(artifact, *weights));
}

TEST(RefusalTest, Capacity) {
  const Artifact &artifact = artifactOf(llama(), makePlan("figure"));
  int64_t most = artifact.manifest().model.maxPositions;
  EXPECT_EQ(messageOf(Session::create(artifact, weightsOf(llama()),
                                      {.capacity = most + 1})),
            "capacity of 513 positions, the model and plan allow 1 to 512");
  Session session = createLlama({.capacity = 20});
  std::vector<int32_t> tokens(21, 1);
  EXPECT_EQ(messageOf(session.step(tokens, 0)),
            "21 tokens from position 0 are beyond the capacity of 20");
  EXPECT_EQ(session.length(), 0);
  tokens.resize(20);
  EXPECT_TRUE(session.step(tokens, 0));
  tokens.resize(1);
  EXPECT_EQ(messageOf(session.step(tokens, 20)),
            "1 tokens from position 20 are beyond the capacity of 20");
  EXPECT_EQ(session.length(), 20);
}

TEST(RefusalTest, TokensOutsideTheVocabulary) {
  Session session = createLlama();
  for (int32_t token : {-1, 499, INT32_MAX, INT32_MIN}) {
    std::vector<int32_t> tokens = {3, 4, token};
    EXPECT_EQ(messageOf(session.step(tokens, 0)),
              "token 2 is " + std::to_string(token) +
                  ", the vocabulary has 499");
    EXPECT_EQ(session.length(), 0);
  }
  // What was refused has left no trace.
  Reference reference(llama());
  EXPECT_LT(relativeError(runAtOnce(session, reference.tokens(13)),
                          reference.output(13)),
            kBound);
}

TEST(RefusalTest, ClientLayersThatLeaveNothingToShard) {
  std::filesystem::path path = scratchDirectory() / "none";
  Compilation compiled =
      compile(model("smol-tiny").directory, makePlan("figure", 1, 1), path);
  EXPECT_TRUE(compiled.artifact.empty());
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(compiled.diagnostics,
            "error: 'rshard.layers' op client layers: 1 + 1 vs less than the 2 "
            "layers of the model\nnote: --client-layers L0,L1 must leave at "
            "least one layer to the CompNodes\n");
}
