#include "FakeDriver.h"
#include "ToyModel.h"
#include "rshard/runtime/rshard.h"
#include "rshard/tokenset/ClusterRule.h"

namespace rshard::runtime {
namespace {

/// The toy model for a GPU: good for creating a session, not for a step.
std::filesystem::path toyArtifact(const ToyModel &model) {
  Expected<tokenset::Plan> plan = tokenset::makePlan({});
  EXPECT_TRUE(plan);
  Manifest m = model.manifest(*plan);
  m.model.maxPositions = 5000;
  m.hashes.model = Weights::open(model.directory.path)->identity();
  std::string_view ir = "module {}\n";
  m.hashes.ir = sha256(ir);
  m.target = {.name = "cuda", .cpu = "any", .features = {}, .chip = "sm_90a"};
  m.kernels = {{.name = "gather_2_f32"}};
  std::string host = readAll(RSHARD_TEST_STEP), cubin = "cubin";
  std::filesystem::path path = model.directory / "toy.rshard";
  Expected<void> written =
      writeArtifact(path, m, std::as_bytes(std::span(host)), ir,
                    {std::as_bytes(std::span(cubin)), "ptx"});
  EXPECT_TRUE(written) << written.error().message;
  return path;
}

TEST(DeviceOption, AGpuTakesLongerSteps) {
  fakecuda::reset();
  ToyModel model;
  model.write(0, toyLayers);
  Expected<Artifact> artifact = Artifact::open(toyArtifact(model));
  ASSERT_TRUE(artifact) << artifact.error().message;
  auto largest = [&](int64_t capacity) {
    auto session =
        Session::create(*artifact, *Weights::open(model.directory.path),
                        {.capacity = capacity});
    EXPECT_TRUE(session) << session.error().message;
    return session ? session->largestStep() : 0;
  };
  EXPECT_EQ(largest(0), 4096);
  EXPECT_EQ(largest(600), 600);
  fakecuda::reset();
}

TEST(DeviceOption, ChoosesTheGpuInTheCInterfaceToo) {
  fakecuda::reset({.devices = 2});
  ToyModel model;
  model.write(0, toyLayers);
  rshard_artifact *artifact =
      rshard_artifact_open(toyArtifact(model).c_str(), nullptr);
  rshard_weights *weights =
      rshard_weights_open(model.directory.path.c_str(), nullptr);
  ASSERT_TRUE(artifact && weights);
  char *error = nullptr;
  rshard_session_options options{20, 0, 0, 1};
  rshard_session *session =
      rshard_session_create(artifact, weights, &options, &error);
  EXPECT_NE(session, nullptr) << error;
  rshard_session_free(session);
  options.device = 2;
  EXPECT_EQ(rshard_session_create(artifact, weights, &options, &error),
            nullptr);
  ASSERT_NE(error, nullptr);
  EXPECT_TRUE(
      std::string(error).ends_with("device 2: the CUDA driver shows 2 devices"))
      << error;
  rshard_free_error(error);
  rshard_weights_free(weights);
  rshard_artifact_free(artifact);
  EXPECT_EQ(fakecuda::seen().used, 0u);
  EXPECT_EQ(fakecuda::seen().objects, 0u);
  fakecuda::reset();
}

} // namespace
} // namespace rshard::runtime
