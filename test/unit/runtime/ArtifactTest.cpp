#include "rshard/runtime/Artifact.h"
#include "TestFiles.h"
#include "rshard/runtime/Hash.h"

#include <cstring>
#include <gtest/gtest.h>
#include <span>

namespace rshard::runtime {
namespace {

class ArtifactTest : public testing::Test {
protected:
  ArtifactTest() {
    manifest.abi = RSHARD_ABI_VERSION;
    ModelInfo &model = manifest.model;
    model.vocabulary = model.leaveWidth = model.heads = model.kvHeads = 1;
    model.headSize = model.layers = model.maxPositions = 1;
    model.masks = {tokenset::Mask::causal()};
    model.layerMask = {0};
    manifest.hashes.model = "identity";
    manifest.hashes.ir = sha256(std::string_view(ir));
    manifest.plan = "{}";
  }
  std::filesystem::path write() {
    std::string host = readAll(RSHARD_TEST_STEP);
    Expected<void> written =
        writeArtifact(directory / "a.rshard", manifest,
                      std::as_bytes(std::span(host)), ir, device);
    EXPECT_TRUE(written);
    return directory / "a.rshard";
  }
  /// A small artifact with sections for kernels.
  void makeCuda() {
    manifest.target.name = "cuda";
    manifest.target.chip = "sm_90a";
    manifest.kernels = {{"norm", 256, 64, 1, 2, {{0, 8}}}};
    manifest.kernels[0].parameters = {{ParameterKind::Pointer, 0},
                                      {ParameterKind::Rows, 0}};
    device = {std::as_bytes(std::span("cubin", 5)), ".version 8.0"};
  }
  std::string errorOf(const std::string &bytes) {
    Expected<Artifact> artifact =
        Artifact::open(directory.write("b.rshard", bytes));
    return artifact ? "" : artifact.error().message;
  }
  static constexpr const char *ir = "module {}\n";
  TestDirectory directory;
  Manifest manifest;
  DeviceCode device;
};

TEST_F(ArtifactTest, RoundTripsAndRunsCode) {
  Expected<Artifact> artifact = Artifact::open(write());
  ASSERT_TRUE(artifact) << artifact.error().message;
  EXPECT_EQ(artifact->ir(), ir);
  EXPECT_EQ(artifact->manifest().hashes.model, "identity");
  EXPECT_EQ(artifact->hostHash().size(), 64u);
  Expected<std::shared_ptr<const HostCode>> code =
      HostCode::load(artifact->host());
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_NE((*code)->step(), nullptr);
  // A second copy of the same code is a library of its own.
  Expected<std::shared_ptr<const HostCode>> other =
      HostCode::load(artifact->host());
  ASSERT_TRUE(other);
  EXPECT_NE((*code)->step(), (*other)->step());
}

TEST_F(ArtifactTest, IsTheSameFileEveryTime) {
  std::string first = readAll(write());
  EXPECT_EQ(first, readAll(write()));
  // Nothing half-written stays behind.
  EXPECT_EQ(
      std::distance(std::filesystem::directory_iterator(directory.path), {}),
      1);
}

TEST_F(ArtifactTest, CarriesKernels) {
  makeCuda();
  Expected<Artifact> artifact = Artifact::open(write());
  ASSERT_TRUE(artifact) << artifact.error().message;
  std::span<const std::byte> cubin = artifact->device().cubin;
  EXPECT_EQ(
      std::string(reinterpret_cast<const char *>(cubin.data()), cubin.size()),
      "cubin");
  EXPECT_EQ(artifact->device().ptx, ".version 8.0");
  EXPECT_EQ(artifact->manifest().kernels, manifest.kernels);
  device.cubin = {};
  artifact = Artifact::open(write());
  ASSERT_FALSE(artifact);
  EXPECT_NE(artifact.error().message.find("a.rshard: artifact for target "
                                          "\"cuda\" without kernels: section "
                                          "cubin is missing or empty"),
            std::string::npos)
      << artifact.error().message;
}

TEST_F(ArtifactTest, RefusesEveryDamagedByte) {
  makeCuda();
  Expected<void> written =
      writeArtifact(directory / "a.rshard", manifest, {}, ir, device);
  ASSERT_TRUE(written);
  std::string good = readAll(directory / "a.rshard");
  EXPECT_EQ(errorOf(good), "");
  for (size_t i = 0; i != good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (i % 2 ? 1 : -128));
    EXPECT_NE(errorOf(bad), "") << "byte " << i << " of " << good.size();
  }
  for (size_t size = 0; size < good.size(); size += 7)
    EXPECT_NE(errorOf(good.substr(0, size)), "");
  EXPECT_NE(errorOf(good + "x"), "");
}

/// Files that were made to lie, hashes included: no byte may be left that no
/// hash covers.
TEST_F(ArtifactTest, RefusesAnotherLayout) {
  Expected<void> written =
      writeArtifact(directory / "a.rshard", manifest, {}, ir);
  ASSERT_TRUE(written);
  std::string good = readAll(directory / "a.rshard");
  constexpr size_t header = 88, entry = 96, entries = 3, hash = 64;
  // Moves the last section by `by` bytes and states the file's size.
  auto moved = [&](int64_t by, size_t fileSize) {
    std::string bad = good;
    uint64_t number = 0;
    char *offset = bad.data() + header + 2 * entry + 16;
    std::memcpy(&number, offset, 8);
    number += static_cast<uint64_t>(by);
    std::memcpy(offset, &number, 8);
    bad.resize(fileSize, '\0');
    number = fileSize;
    std::memcpy(bad.data() + 16, &number, 8);
    std::string table = bad.substr(header, entries * entry);
    bad.replace(header - hash, hash, sha256(table));
    return errorOf(bad);
  };
  EXPECT_EQ(moved(0, good.size()), "");
  EXPECT_NE(moved(64, good.size() + 64).find("section ir begins at byte"),
            std::string::npos);
  EXPECT_NE(moved(-64, good.size()).find("section ir begins at byte"),
            std::string::npos);
  EXPECT_NE(moved(0, good.size() + 64).find("its sections end at"),
            std::string::npos);
}

/// Section tables that were made to lie, hashes included.
TEST_F(ArtifactTest, RefusesOtherSections) {
  constexpr size_t header = 88, entry = 96, hash = 64;
  makeCuda();
  auto error = [&](size_t section, size_t at, const std::string &bytes) {
    Expected<void> written =
        writeArtifact(directory / "a.rshard", manifest, {}, ir, device);
    EXPECT_TRUE(written);
    std::string bad = readAll(directory / "a.rshard");
    bad.replace(header + section * entry + at, bytes.size(), bytes);
    bad.replace(header - hash, hash, sha256(bad.substr(header, 5 * entry)));
    std::string message = errorOf(bad);
    return message.substr(message.find(": ") + 2);
  };
  // manifest, host, cubin, ptx, ir; a name has 16 bytes, the size follows the
  // offset.
  EXPECT_EQ(error(4, 0, "map"), "damaged artifact: unknown section \"map\"");
  EXPECT_EQ(error(4, 0, std::string("ptx\0", 4)),
            "damaged artifact: a section is missing");
  EXPECT_EQ(error(3, 0, std::string("ir\0", 3)),
            "damaged artifact: section ptx is missing");
  EXPECT_EQ(error(4, 24, std::string(8, '\x7f')),
            "damaged artifact: section ir lies outside the file");
  manifest.model.layers = 0;
  EXPECT_EQ(error(0, 0, ""),
            "manifest: model.layers is 0, 1 to 2147483647 is allowed");
}

TEST_F(ArtifactTest, SaysWhatIsWrong) {
  auto has = [&](const std::string &bytes, const char *text) {
    std::string error = errorOf(bytes);
    EXPECT_NE(error.find(text), std::string::npos) << error;
  };
  std::string good = readAll(write());
  has("", "not an rshard artifact");
  has("\x7f"
      "ELF and so on",
      "not an rshard artifact");
  has(good.substr(0, 20), "cut off");
  has(good.substr(0, 1000), "1000 bytes, its header says");
  std::string bad = good;
  bad[8] = 9;
  has(bad, "artifact format 9");
  bad = good;
  bad[good.size() / 2] = static_cast<char>(bad[good.size() / 2] ^ 4);
  has(bad, "section host does not have its hash");
  bad = good;
  bad[100] = 'x';
  has(bad, "section table does not have its hash");
  EXPECT_FALSE(Artifact::open(directory / "none.rshard"));
  EXPECT_EQ(Artifact::open(directory.path).error().message,
            directory.path.string() + ": not a regular file");
}

TEST_F(ArtifactTest, RefusesOtherVersionsAndMachines) {
  auto error = [&] {
    Expected<Artifact> artifact = Artifact::open(write());
    return artifact ? std::string() : artifact.error().message;
  };
  manifest.target.features = {"avx2", "avx9000"};
  EXPECT_NE(error().find("CPU feature avx9000"), std::string::npos) << error();
  EXPECT_TRUE(Artifact::inspect(write()));
  manifest.target.features = {"sse2", "cx16"};
  EXPECT_EQ(error(), "");
  manifest.target.name = "tpu";
  EXPECT_NE(error().find("\"tpu\""), std::string::npos);
  manifest.target.name = "cpu";
  manifest.abi = 99;
  EXPECT_EQ(error(), (directory / "a.rshard").string() +
                         ": artifact for runtime interface 99, this is " +
                         std::to_string(RSHARD_ABI_VERSION) +
                         ": compile the model again");
}

TEST_F(ArtifactTest, RefusesAnotherModel) {
  manifest.hashes.content = "content";
  Expected<Artifact> artifact = Artifact::open(write());
  ASSERT_TRUE(artifact);
  EXPECT_TRUE(artifact->checkModel("identity", "content"));
  EXPECT_FALSE(artifact->checkModel("another", "content"));
  EXPECT_FALSE(artifact->checkModel("identity", "other"));
}

// C10: operators compare the hash that the manifest states, so it is that of
// the IR that they read.
TEST_F(ArtifactTest, RefusesAnotherIR) {
  manifest.hashes.ir = sha256(std::string_view("module { }\n"));
  std::string error = errorOf(readAll(write()));
  EXPECT_NE(error.find("damaged artifact: section ir hashes to " +
                       sha256(std::string_view(ir)).substr(0, 16) +
                       ", its manifest names \"" +
                       manifest.hashes.ir.substr(0, 16) + "\""),
            std::string::npos)
      << error;
}

TEST_F(ArtifactTest, RefusesCodeThatIsNone) {
  Expected<std::shared_ptr<const HostCode>> code =
      HostCode::load(std::as_bytes(std::span("no library", 10)));
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().message.substr(0, 9), "host code");
  EXPECT_FALSE(HostCode::load({}));
}

TEST_F(ArtifactTest, DoesNotWriteWhereItCannot) {
  EXPECT_FALSE(writeArtifact(directory / "none/a.rshard", manifest, {}, ""));
}

TEST(CpuFeatures, KnowsWhatIsMissing) {
  EXPECT_EQ(missingCpuFeature({}), "");
  std::vector<std::string> features{"sse2", "sse4.2", "cx16", "64bit", "fxsr"};
  EXPECT_EQ(missingCpuFeature(features), "");
  features.push_back("nonsense");
  EXPECT_EQ(missingCpuFeature(features), "nonsense");
}

} // namespace
} // namespace rshard::runtime
