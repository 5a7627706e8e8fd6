#include "rshard/runtime/Weights.h"
#include "TestFiles.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <rapidcheck/gtest.h>

namespace rshard::runtime {
namespace {

std::string header(const char *type, int64_t rows, int64_t columns,
                   size_t bytes) {
  return std::string(R"({"w":{"dtype":")") + type + R"(","shape":[)" +
         std::to_string(rows) +
         (columns ? "," + std::to_string(columns) : std::string()) +
         R"(],"data_offsets":[0,)" + std::to_string(bytes) + "]}}";
}

/// One matrix or vector, and one weight read from it.
struct Fixture {
  TestDirectory directory;
  Manifest manifest;
  std::shared_ptr<const PackedWeights> packed;
  std::string error;

  const void *pack(const std::string &file, const WeightSpec &spec) {
    directory.write("m.safetensors", file);
    manifest.weights = {spec};
    Expected<Weights> weights = Weights::open(directory.path);
    EXPECT_TRUE(weights) << weights.error().message;
    auto result = weights->pack(manifest);
    error = result ? "" : result.error().message;
    packed = result ? *result : nullptr;
    return packed ? packed->slots()[spec.slot] : nullptr;
  }
};

WeightSpec spec(std::vector<int64_t> shape, const std::string &pack) {
  WeightSpec out;
  out.tensor = "w";
  out.shape = std::move(shape);
  out.pack = pack;
  return out;
}

std::vector<float> numbers(int64_t count) {
  std::vector<float> out(static_cast<size_t>(count));
  for (size_t i = 0; i != out.size(); ++i)
    out[i] = static_cast<float>(i) + 0.5f;
  return out;
}

RC_GTEST_PROP(Weights, PanelsHoldEveryElementOnce, ()) {
  int64_t rows = *rc::gen::inRange<int64_t>(1, 90);
  int64_t columns = *rc::gen::inRange<int64_t>(1, 150);
  int64_t width = *rc::gen::element<int64_t>(1, 8, 16, 32);
  WeightSpec weight =
      spec({rows, columns}, "panel:" + std::to_string(width) + ":f32");
  weight.transposed = *rc::gen::arbitrary<bool>();
  int64_t r0 = 0, r1 = rows, c0 = 0, c1 = columns;
  if (*rc::gen::arbitrary<bool>()) {
    r0 = *rc::gen::inRange<int64_t>(0, rows);
    r1 = *rc::gen::inRange<int64_t>(r0 + 1, rows + 1);
    weight.sliceRows = {r0, r1};
  }
  if (*rc::gen::arbitrary<bool>()) {
    c0 = *rc::gen::inRange<int64_t>(0, columns);
    c1 = *rc::gen::inRange<int64_t>(c0 + 1, columns + 1);
    weight.sliceColumns = {c0, c1};
  }
  std::vector<float> values = numbers(rows * columns);
  Fixture f;
  auto *out = static_cast<const float *>(
      f.pack(safeTensors(header("F32", rows, columns, values.size() * 4),
                         bytesOf(values)),
             weight));
  RC_ASSERT(out != nullptr);
  int64_t n = weight.transposed ? c1 - c0 : r1 - r0;
  int64_t k = weight.transposed ? r1 - r0 : c1 - c0;
  int64_t panels = (n + width - 1) / width;
  for (int64_t i = 0; i != panels * width; ++i)
    for (int64_t j = 0; j != k; ++j) {
      int64_t row = r0 + (weight.transposed ? j : i);
      int64_t column = c0 + (weight.transposed ? i : j);
      float expected =
          i < n ? values[static_cast<size_t>(row * columns + column)] : 0;
      RC_ASSERT(out[(i / width * k + j) * width + i % width] == expected);
    }
}

TEST(Weights, RoundsToBf16LikeHardware) {
  std::vector<float> values{1.0f,     1.00390625f, 1.01171875f, -0.0f,
                            INFINITY, NAN,         3.3895e38f,  1.005f};
  Fixture f;
  auto *out = static_cast<const uint16_t *>(
      f.pack(safeTensors(header("F32", 1, 8, 32), bytesOf(values)),
             spec({1, 8}, "panel:1:bf16")));
  ASSERT_NE(out, nullptr) << f.error;
  // Ties go to the even neighbour: 1.00390625 is halfway between 3f80 and 3f81,
  // 1.01171875 between 3f81 and 3f82.
  const uint16_t expected[] = {0x3f80, 0x3f80, 0x3f82, 0x8000,
                               0x7f80, 0x7fc0, 0x7f7f, 0x3f81};
  for (int i = 0; i != 8; ++i)
    EXPECT_EQ(out[i], expected[i]) << i;
}

TEST(Weights, WidensHalfPrecisionExactly) {
  // 1, -2, smallest subnormal, largest subnormal, largest, infinity, NaN.
  const uint16_t raw[] = {0x3c00, 0xc000, 0x0001, 0x83ff,
                          0x7bff, 0xfc00, 0x7e00, 0x0000};
  std::string data(16, '\0');
  std::memcpy(data.data(), raw, 16);
  Fixture f;
  auto *out = static_cast<const float *>(
      f.pack(safeTensors(header("F16", 8, 0, 16), data), spec({8}, "vector")));
  ASSERT_NE(out, nullptr) << f.error;
  EXPECT_EQ(out[0], 1);
  EXPECT_EQ(out[1], -2);
  EXPECT_EQ(out[2], 0x1p-24f);
  EXPECT_EQ(out[3], -1023 * 0x1p-24f);
  EXPECT_EQ(out[4], 65504);
  EXPECT_EQ(out[5], -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(out[6]));
  EXPECT_EQ(out[7], 0);
}

TEST(Weights, MapsRowsInPlaceWhereItCan) {
  std::vector<float> values = numbers(12);
  auto file = [&](int padding) {
    std::string h = header("F32", 4, 3, 48);
    h.append((72 - h.size() % 8 + static_cast<size_t>(padding)) % 8 + 8, ' ');
    return safeTensors(h, bytesOf(values));
  };
  for (int padding : {0, 4, 1, 2}) {
    Fixture f;
    WeightSpec rows = spec({4, 3}, "rows:f32");
    rows.sliceRows = {1, 4};
    auto *out = static_cast<const float *>(f.pack(file(padding), rows));
    ASSERT_NE(out, nullptr) << f.error;
    EXPECT_EQ(f.packed->packedBytes() == 0, padding % 4 == 0);
    EXPECT_EQ(out[0], values[3]);
    EXPECT_EQ(out[8], values[11]);
  }
  Fixture f;
  WeightSpec columns = spec({4, 3}, "rows:f32");
  columns.sliceColumns = {1, 3};
  auto *out = static_cast<const float *>(f.pack(file(0), columns));
  ASSERT_NE(out, nullptr);
  EXPECT_EQ(out[3], values[5]);
  out = static_cast<const float *>(f.pack(file(0), spec({4, 3}, "rows:bf16")));
  EXPECT_EQ(*reinterpret_cast<const uint16_t *>(out), 0x3f00);
}

TEST(Weights, NumbersSlotsByLayer) {
  TestDirectory directory;
  directory.write(
      "model.safetensors",
      safeTensors(
          R"({"l.3.n":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"l.4.n":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
          bytesOf({3, 4})));
  Manifest manifest;
  WeightSpec layers = spec({1}, "vector");
  layers.tensor = "l.{}.n";
  layers.layers = {3, 5};
  layers.slot = 1;
  manifest.weights = {layers};
  Expected<Weights> weights = Weights::open(directory.path);
  ASSERT_TRUE(weights);
  auto packed = weights->pack(manifest);
  ASSERT_TRUE(packed) << packed.error().message;
  EXPECT_EQ((*packed)->slots()[0], nullptr);
  EXPECT_EQ(*static_cast<const float *>((*packed)->slots()[2]), 4);
  // Sessions share what is packed.
  EXPECT_EQ(*weights->pack(manifest), *packed);
  // Copies hold the files.
  std::shared_ptr<const PackedWeights> kept = *packed;
  weights = Error{"gone"};
  EXPECT_EQ(*static_cast<const float *>(kept->slots()[1]), 3);
}

TEST(Weights, NamesTensorAndBothShapes) {
  auto has = [](const std::string &file, const WeightSpec &weight,
                const char *text) {
    Fixture f;
    EXPECT_EQ(f.pack(file, weight), nullptr);
    EXPECT_NE(f.error.find(text), std::string::npos) << f.error;
  };
  std::string file = safeTensors(header("F32", 2, 2, 16), bytesOf(numbers(4)));
  has(file, spec({2, 3}, "panel:8:f32"),
      "\"w\" has shape [2, 2], the artifact was compiled for [2, 3]");
  has(file, spec({2, 2}, "vector"), "one row of it vs 2");
  has(file, spec({2, 2}, "pan"), "\"pan\" is not known");
  WeightSpec missing = spec({2, 2}, "panel:8:f32");
  missing.tensor = "v";
  has(file, missing, "no tensor \"v\"");
  WeightSpec outside = spec({2, 2}, "panel:8:f32");
  outside.sliceRows = {1, 3};
  has(file, outside, "outside of [2, 2]");
  has(safeTensors(header("I32", 2, 2, 16), bytesOf(numbers(4))),
      spec({2, 2}, "panel:8:f32"), "is I32");
}

TEST(Weights, TakesARowOfAMatrixAsAVector) {
  Fixture f;
  WeightSpec row = spec({4, 3}, "vector");
  row.sliceRows = {2, 3};
  std::vector<float> values = numbers(12);
  auto *out = static_cast<const float *>(
      f.pack(safeTensors(header("F32", 4, 3, 48), bytesOf(values)), row));
  ASSERT_NE(out, nullptr) << f.error;
  EXPECT_EQ(std::vector<float>(out, out + 3),
            std::vector<float>(values.begin() + 6, values.begin() + 9));
}

TEST(Weights, ReportsProgress) {
  Fixture f;
  std::vector<float> values = numbers(64);
  f.directory.write("m.safetensors",
                    safeTensors(header("F32", 8, 8, 256), bytesOf(values)));
  f.manifest.weights = {spec({8, 8}, "panel:8:f32")};
  uint64_t last = 0;
  auto packed = Weights::open(f.directory.path)
                    ->pack(f.manifest, [&](uint64_t done, uint64_t total) {
                      EXPECT_LE(done, total);
                      last = done;
                    });
  ASSERT_TRUE(packed);
  EXPECT_EQ(last, 256u);
}

} // namespace
} // namespace rshard::runtime
