#include "Launch.h"
#include "FakeDriver.h"

#include <cstring>
#include <gtest/gtest.h>

namespace rshard::runtime::cuda {
namespace {

std::byte *at(uintptr_t address) {
  return reinterpret_cast<std::byte *>(address);
}

/// What an encoded map was made from.
struct Call {
  int type = -1, swizzle = -1;
  void *address = nullptr;
  std::vector<uint64_t> extents, strides;
  std::vector<uint32_t> box;
  Result result = 0;
};
Call lastCall;

/// A driver that only encodes maps.
DriverApi recorder() {
  DriverApi api;
  api.getErrorString = [](Result, const char **text) {
    *text = "invalid argument";
    return 0;
  };
  api.encodeTiled = [](TensorMap *map, int type, uint32_t rank, void *address,
                       const uint64_t *extents, const uint64_t *strides,
                       const uint32_t *box, const uint32_t *, int, int swizzle,
                       int, int) {
    lastCall = {type,
                swizzle,
                address,
                {extents, extents + rank},
                {strides, strides + rank - 1},
                {box, box + rank},
                lastCall.result};
    map->opaque[0] = std::byte(42);
    return lastCall.result;
  };
  return api;
}

KernelSpec spec() {
  KernelSpec out;
  out.name = "k";
  out.blocks = 3;
  out.grid = {{0, 128}, {2, 4}};
  KernelParameter map{ParameterKind::Map, 1};
  map.type = ElementType::BF16;
  map.extents = {{64}, {2, 0}, {1, 1}};
  map.strides = {{128}, {256, 2}};
  map.box = {32, 1, 8};
  map.swizzle = 64;
  out.parameters = {{ParameterKind::Pointer, 0},
                    map,
                    {ParameterKind::Rows, 0},
                    {ParameterKind::Scalar, 2}};
  return out;
}

template <typename T> T valueOf(Launch &launch, size_t parameter) {
  T value;
  std::memcpy(&value, launch.parameters()[parameter], sizeof(T));
  return value;
}

class LaunchTest : public testing::Test {
protected:
  LaunchTest() { lastCall = {}; }
  Expected<void> derive(std::vector<rshard_argument> arguments) {
    return launch.derive(api, kernel, arguments, 132);
  }
  DriverApi api = recorder();
  KernelSpec kernel = spec();
  Launch launch;
};

TEST_F(LaunchTest, DerivesGridAndParameters) {
  ASSERT_TRUE(derive({{at(0x1000), 129}, {at(0x2000), 70}, {nullptr, 9}}));
  EXPECT_EQ(launch.blocks(), 3u * 2 * 3);
  EXPECT_EQ(valueOf<uint64_t>(launch, 0), 0x1000u);
  EXPECT_EQ(valueOf<std::byte>(launch, 1), std::byte(42));
  EXPECT_EQ(valueOf<int32_t>(launch, 2), 129);
  EXPECT_EQ(valueOf<int32_t>(launch, 3), 9);
  EXPECT_EQ(lastCall.type, 9); // CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
  EXPECT_EQ(lastCall.swizzle, 2);
  EXPECT_EQ(lastCall.address, at(0x2000));
  EXPECT_EQ(lastCall.extents, (std::vector<uint64_t>{64, 258, 70}));
  EXPECT_EQ(lastCall.strides, (std::vector<uint64_t>{128, 2304}));
  EXPECT_EQ(lastCall.box, (std::vector<uint32_t>{32, 1, 8}));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(launch.parameters()[1]) % 64, 0u);
}

TEST_F(LaunchTest, APersistentGridHasAnEnd) {
  kernel.resident = 2;
  ASSERT_TRUE(derive({{at(16), 128 * 132}, {at(16), 1}, {nullptr, 4}}));
  EXPECT_EQ(launch.blocks(), 264u);
  ASSERT_TRUE(derive({{at(16), 1}, {at(16), 1}, {nullptr, 4}}));
  EXPECT_EQ(launch.blocks(), 3u);
}

TEST_F(LaunchTest, NoRowsNoLaunch) {
  ASSERT_TRUE(derive({{at(16), 0}, {at(16), 1}, {nullptr, 4}}));
  EXPECT_EQ(launch.blocks(), 0u);
  EXPECT_EQ(lastCall.type, -1);
  // A map of nothing shows one row.
  ASSERT_TRUE(derive({{at(16), 1}, {at(16), 0}, {nullptr, 4}}));
  EXPECT_EQ(lastCall.extents.back(), 1u);
}

TEST_F(LaunchTest, SaysWhatIsWrong) {
  auto message = [&](std::vector<rshard_argument> arguments) {
    auto derived = derive(std::move(arguments));
    return derived ? "" : derived.error().message;
  };
  EXPECT_EQ(message({{at(16), 1}, {at(16), 1}}),
            "kernel k: 2 arguments, it takes 3");
  EXPECT_EQ(message({{at(16), 1}, {at(16), 1}, {nullptr, -1}}),
            "kernel k: argument 2 is -1");
  EXPECT_EQ(message({{at(16), int64_t(1) << 40}, {at(16), 1}, {nullptr, 4}}),
            "kernel k: 25769803776 blocks, a grid has at most 2147483647");
  EXPECT_EQ(launch.blocks(), 0u);
  lastCall.result = 1;
  EXPECT_EQ(message({{at(16), 1}, {at(16), 5}, {nullptr, 4}}),
            "kernel k: tensor map: invalid argument of argument 1 with 5 rows");
}

} // namespace
} // namespace rshard::runtime::cuda
