#include "CudaDevice.h"
#include "FakeDriver.h"
#include "TestFiles.h"
#include "rshard/runtime/Hash.h"

#include <gtest/gtest.h>

namespace rshard::runtime {
namespace {

KernelSpec rowKernel(const std::string &name, int32_t counted,
                     int32_t arguments) {
  KernelSpec spec;
  spec.name = name;
  spec.grid = {{counted, 1}};
  for (int32_t i = 0; i != arguments; ++i)
    spec.parameters.push_back({ParameterKind::Pointer, i});
  return spec;
}

/// An artifact with a few kernels, and a device of the fake machine.
class CudaDeviceTest : public testing::Test {
protected:
  CudaDeviceTest() {
    fakecuda::reset();
    manifest.abi = RSHARD_ABI_VERSION;
    manifest.target = {
        .name = "cuda", .cpu = "any", .features = {}, .chip = "sm_90a"};
    manifest.model.architecture = "Toy";
    manifest.model.vocabulary = manifest.model.leaveWidth = 2;
    manifest.model.headSize = manifest.model.layers = 2;
    manifest.model.heads = manifest.model.kvHeads = 1;
    manifest.model.masks = {tokenset::Mask::causal()};
    manifest.model.layerMask = {0, 0};
    manifest.model.maxPositions = 8;
    manifest.kernels = {rowKernel("gather_2_f32", 1, 3),
                        rowKernel("add_2_f32", 2, 3)};
    manifest.kernels[1].shared = 100000;
  }
  ~CudaDeviceTest() override {
    device.reset();
    EXPECT_EQ(fakecuda::seen().used, 0u);
    EXPECT_EQ(fakecuda::seen().usedHost, 0u);
    EXPECT_EQ(fakecuda::seen().objects, 0u);
    fakecuda::reset();
  }

  Expected<std::unique_ptr<Device>> create(int ordinal = 0) {
    std::string host = readAll(RSHARD_TEST_STEP), cubin = "cubin";
    constexpr std::string_view ir = "module {}\n";
    manifest.hashes.ir = sha256(ir);
    Expected<void> written = writeArtifact(
        directory / "a.rshard", manifest, std::as_bytes(std::span(host)), ir,
        {std::as_bytes(std::span(cubin)), "ptx"});
    EXPECT_TRUE(written) << written.error().message;
    Expected<Artifact> artifact = Artifact::open(directory / "a.rshard");
    EXPECT_TRUE(artifact) << artifact.error().message;
    return Device::create(*artifact, ordinal);
  }
  std::string refused(int ordinal = 0) {
    auto created = create(ordinal);
    EXPECT_FALSE(created);
    return created ? "" : created.error().message;
  }
  void ready() {
    auto created = create();
    ASSERT_TRUE(created) << created.error().message;
    device = std::move(*created);
  }
  std::shared_ptr<std::byte> memory(const std::vector<float> &values) {
    auto allocated = device->allocate(values.size() * sizeof(float));
    EXPECT_TRUE(allocated);
    EXPECT_TRUE(
        device->write(allocated->get(), std::as_bytes(std::span(values))));
    return *allocated;
  }
  std::vector<float> read(const std::shared_ptr<std::byte> &from,
                          size_t count) {
    auto *data = static_cast<const float *>(
        device->fetch(from.get(), count * sizeof(float)));
    auto finished = device->finish();
    EXPECT_TRUE(finished) << finished.error().message;
    return {data, data + count};
  }
  void run(int32_t kernel, std::vector<rshard_argument> arguments) {
    device->run(kernel, arguments);
  }

  TestDirectory directory;
  Manifest manifest;
  std::unique_ptr<Device> device;
};

TEST_F(CudaDeviceTest, RunsKernelsOnTablesAndBuffersInOrder) {
  ready();
  auto pool = memory({0, 1, 10, 11, 20, 21}), gathered = memory({0, 0, 0, 0}),
       sum = memory({0, 0, 0, 0});
  std::vector<int32_t> sources{2, 0}, empty;
  std::vector<const std::vector<int32_t> *> lists{&empty, &sources};
  std::vector<rshard_table> shown(2);
  device->show(lists, shown);
  ASSERT_EQ(shown[0].size, 0);
  ASSERT_EQ(shown[1].size, 2);
  EXPECT_EQ(shown[1].data[0], 2); // the host code reads it too
  auto *table = const_cast<int32_t *>(shown[1].data);
  run(0, {{pool.get(), 3}, {table, 2}, {gathered.get(), 2}});
  // The driver has read the arguments: nothing depends on what happens to the
  // lists now.
  sources.assign({1, 1});
  run(1, {{gathered.get(), 2}, {gathered.get(), 2}, {sum.get(), 2}});
  // A part of a table.
  run(0, {{pool.get(), 3}, {table + 1, 1}, {gathered.get(), 1}});
  EXPECT_EQ(read(sum, 4), (std::vector<float>{40, 42, 0, 2}));
  EXPECT_EQ(read(gathered, 4), (std::vector<float>{0, 1, 0, 1}));
  const auto &launches = fakecuda::seen().launches;
  ASSERT_EQ(launches.size(), 3u);
  EXPECT_EQ(launches[0].kernel, "gather_2_f32");
  EXPECT_EQ(launches[0].blocks, 2u);
  EXPECT_EQ(launches[0].threads, 32u);
  EXPECT_EQ(launches[1].kernel, "add_2_f32");
  EXPECT_EQ(launches[1].shared, 100000u);
  EXPECT_EQ(launches[2].blocks, 1u);
}

TEST_F(CudaDeviceTest, MemoryIsZeroAndCopiesAndPoisonAreOrdered) {
  ready();
  auto fresh = device->allocate(16);
  ASSERT_TRUE(fresh);
  EXPECT_EQ(read(*fresh, 4), (std::vector<float>(4)));
  auto from = memory({1, 2, 3, 4});
  device->copy(fresh->get() + 8, from.get(), 8);
  device->poison(from.get(), 4);
  EXPECT_EQ(read(*fresh, 4), (std::vector<float>{0, 0, 1, 2}));
  std::vector<float> poisoned = read(from, 4);
  EXPECT_NE(poisoned[0], poisoned[0]);
  EXPECT_EQ(poisoned[1], 2);
  EXPECT_EQ(fakecuda::seen().copiesOnDevice, 1u);
}

// The caller's rows are in either memory; what was asked for before comes
// first.
TEST_F(CudaDeviceTest, PutsRowsApart) {
  ready();
  auto rows = memory({9, 9, 9, 9, 9, 9}), own = memory({3, 4});
  std::vector<float> given{1, 2};
  for (int64_t step : {1, 1000}) { // recorded, and played at once
    device->begin(step);
    device->poison(rows.get(), 24);
    device->put(rows.get(), 12, given.data(), 4, 2);
    device->put(rows.get() + 4, 12, own.get(), 4, 2);
    std::vector<float> out = read(rows, 6);
    EXPECT_EQ(out[0], 1);
    EXPECT_EQ(out[1], 3);
    EXPECT_NE(out[2], out[2]);
    EXPECT_EQ(out[3], 2);
    EXPECT_EQ(out[4], 4);
    EXPECT_NE(out[5], out[5]);
  }
  EXPECT_EQ(fakecuda::seen().copiesOfRows, 4u);
  device->put(rows.get(), 12, given.data(), 4, 0);
  EXPECT_TRUE(device->finish());
  EXPECT_EQ(fakecuda::seen().copiesOfRows, 4u);
}

TEST_F(CudaDeviceTest, TablesGrowAndNothingIsAllocatedAgain) {
  ready();
  std::vector<int32_t> list(3);
  std::vector<const std::vector<int32_t> *> lists{&list};
  std::vector<rshard_table> shown(1);
  auto show = [&](size_t size) {
    list.assign(size, 7);
    device->show(lists, shown);
    ASSERT_TRUE(device->finish());
    EXPECT_EQ(shown[0].data[size - 1], 7);
  };
  show(3);
  show(10000);
  size_t used = fakecuda::seen().used, host = fakecuda::seen().usedHost;
  show(9000);
  show(1);
  EXPECT_EQ(fakecuda::seen().used, used);
  EXPECT_EQ(fakecuda::seen().usedHost, host);
  EXPECT_LE(used, size_t(1) << 17);
}

TEST_F(CudaDeviceTest, StepsOfFewRowsThatComeAgainBecomeGraphs) {
  ready();
  auto pool = memory({0, 1, 10, 11, 20, 21}), row = memory({0, 0}),
       other = memory({0, 0});
  std::vector<int32_t> source{0};
  std::vector<const std::vector<int32_t> *> lists{&source};
  std::vector<rshard_table> shown(1);
  auto step = [&](int64_t rows, int32_t from, std::byte *to) {
    source[0] = from;
    device->begin(rows);
    device->show(lists, shown);
    auto *table = const_cast<int32_t *>(shown[0].data);
    run(0, {{pool.get(), 3}, {table, 1}, {row.get(), 1}});
    device->copy(to, row.get(), 8);
    auto *data = static_cast<const float *>(device->fetch(to, 8));
    EXPECT_TRUE(device->finish());
    EXPECT_EQ(data[0], static_cast<float>(10 * from));
  };
  const fakecuda::Seen &seen = fakecuda::seen();
  auto expect = [&](size_t launches, size_t graphs, size_t graphLaunches) {
    EXPECT_EQ(seen.launches.size(), launches);
    EXPECT_TRUE(seen.launches.back().overlaps);
    EXPECT_EQ(seen.graphsMade, graphs);
    EXPECT_EQ(seen.graphLaunches, graphLaunches);
  };
  step(1, 0, row.get());
  expect(1, 0, 0);
  step(1, 1, row.get()); // captured
  expect(2, 1, 1);
  step(1, 2, row.get());
  step(1, 0, row.get());
  expect(2, 1, 3);
  step(1, 1, other.get()); // something else
  expect(3, 1, 3);
  step(17, 2, row.get()); // too many rows for a graph
  expect(4, 1, 3);
  step(16, 2, other.get());
  expect(5, 2, 4);
}

TEST_F(CudaDeviceTest, GraphsAreFewAndTheOldestGoes) {
  ready();
  auto buffer = device->allocate(4 * cuda::GraphCache::capacity + 8);
  ASSERT_TRUE(buffer);
  auto step = [&](size_t place) {
    device->begin(1);
    device->copy(buffer->get() + 4 * place, buffer->get(), 4);
    ASSERT_TRUE(device->finish());
  };
  size_t before = fakecuda::seen().objects;
  for (size_t place = 0; place != cuda::GraphCache::capacity; ++place)
    for (int time = 0; time != 2; ++time)
      step(place);
  EXPECT_EQ(fakecuda::seen().objects, before + cuda::GraphCache::capacity);
  step(0); // used last
  step(cuda::GraphCache::capacity);
  EXPECT_EQ(fakecuda::seen().objects, before + cuda::GraphCache::capacity - 1);
  size_t launches = fakecuda::seen().graphLaunches;
  step(1); // forgotten
  step(0);
  EXPECT_EQ(fakecuda::seen().graphLaunches, launches + 1);
}

TEST_F(CudaDeviceTest, KeepsTheFirstErrorForTheEndOfTheStep) {
  ready();
  auto a = memory({1, 2});
  run(5, {{a.get(), 1}});
  run(1, {{a.get(), 1}});
  run(1, {{a.get(), 1}, {a.get(), 1}, {a.get(), 1}});
  auto finished = device->finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().message, "kernel 5 of 2");
  EXPECT_TRUE(fakecuda::seen().launches.empty());
  // The next step starts anew.
  run(1, {{a.get(), 1}});
  finished = device->finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().message,
            "kernel add_2_f32: 1 arguments, it takes 3");
  run(1, {{a.get(), 1}, {a.get(), 1}, {a.get(), 1}});
  EXPECT_EQ(read(a, 2), (std::vector<float>{2, 4}));
}

TEST_F(CudaDeviceTest, SaysWhatTheDriverSays) {
  ready();
  auto a = memory({1, 2});
  // Reads behind the end.
  run(1, {{a.get(), 2}, {a.get(), 2}, {a.get(), 2}});
  auto finished = device->finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().message,
            "device 0 (Fake GPU): an illegal memory access was encountered");
}

TEST_F(CudaDeviceTest, RefusesOtherMachines) {
  fakecuda::reset({.capability = 80});
  EXPECT_EQ(refused(), "device 0 (Fake GPU) has compute capability 8.0, the "
                       "artifact's kernels are for sm_90a");
  fakecuda::reset({.capability = 100});
  EXPECT_EQ(refused(), "device 0 (Fake GPU) has compute capability 10.0, the "
                       "artifact's kernels are for sm_90a");
  fakecuda::reset();
  EXPECT_EQ(refused(1), "device 1: the CUDA driver shows 1 device");
  fakecuda::reset({.devices = 0});
  EXPECT_EQ(refused(), "device 0: the CUDA driver shows 0 devices");
}

TEST_F(CudaDeviceTest, AssemblesPtxWhereTheCubinIsNotTaken) {
  fakecuda::reset({.takesCubin = false});
  ready();
  fakecuda::reset({.takesCubin = false, .takesPtx = false});
  EXPECT_EQ(refused(), "device 0 (Fake GPU): the artifact's PTX: a PTX JIT "
                       "compilation failed");
}

TEST_F(CudaDeviceTest, NamesAKernelThatTheModuleLacks) {
  manifest.kernels[1].name = "transmogrify_2_f32";
  EXPECT_EQ(refused(), "kernel transmogrify_2_f32: named symbol not found");
}

// The smallest number of the widest row counts.
TEST_F(CudaDeviceTest, RefusesPositionsWhoseAnglesKernelsCannotNumber) {
  ready();
  constexpr int64_t most = (int64_t(1) << 32) / 96;
  EXPECT_TRUE(device->reaches(manifest, most + 1));
  manifest.rope = {{"rotary.near", std::vector<double>(32, 1.0)},
                   {"rotary.far", std::vector<double>(48, 1.0)}};
  EXPECT_TRUE(device->reaches(manifest, most));
  auto reached = device->reaches(manifest, most + 1);
  ASSERT_FALSE(reached);
  EXPECT_EQ(reached.error().message,
            "capacity of 44739243 positions, the 32 bits in which kernels "
            "number angles allow 1 to 44739242");
}

TEST_F(CudaDeviceTest, SaysHowMuchMemoryIsNeeded) {
  fakecuda::reset({.memory = 1000000});
  ready();
  auto memory = device->allocate(2100000);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().message,
            "device 0 (Fake GPU) has 1.0 MB free, 2.1 MB are needed");
}

} // namespace
} // namespace rshard::runtime
