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
  out.symbol = "weight";
  out.pack = pack;
  out.parts = {{"w", std::move(shape)}};
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
  WeightPart &part = weight.parts[0];
  part.transposed = *rc::gen::arbitrary<bool>();
  int64_t r0 = 0, r1 = rows, c0 = 0, c1 = columns;
  if (*rc::gen::arbitrary<bool>()) {
    r0 = *rc::gen::inRange<int64_t>(0, rows);
    r1 = *rc::gen::inRange<int64_t>(r0 + 1, rows + 1);
    part.sliceRows = {r0, r1};
  }
  if (*rc::gen::arbitrary<bool>()) {
    c0 = *rc::gen::inRange<int64_t>(0, columns);
    c1 = *rc::gen::inRange<int64_t>(c0 + 1, columns + 1);
    part.sliceColumns = {c0, c1};
  }
  std::vector<float> values = numbers(rows * columns);
  Fixture f;
  auto *out = static_cast<const float *>(
      f.pack(safeTensors(header("F32", rows, columns, values.size() * 4),
                         bytesOf(values)),
             weight));
  RC_ASSERT(out != nullptr);
  int64_t n = part.transposed ? c1 - c0 : r1 - r0;
  int64_t k = part.transposed ? r1 - r0 : c1 - c0;
  int64_t panels = (n + width - 1) / width;
  for (int64_t i = 0; i != panels * width; ++i)
    for (int64_t j = 0; j != k; ++j) {
      int64_t row = r0 + (part.transposed ? j : i);
      int64_t column = c0 + (part.transposed ? i : j);
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

/// By the definition: the nearest multiple of the step at this size, the even
/// one of two.
uint16_t nearestF16(float value) {
  double size = std::fabs(static_cast<double>(value));
  auto number = [](uint16_t raw) {
    int exponent = raw >> 10, fraction = raw & 0x3ff;
    return exponent == 0 ? std::ldexp(fraction, -24)
                         : std::ldexp(1024 + fraction, exponent - 25);
  };
  uint16_t low = 0, high = 0x7c00; // infinity counts as 2^16
  while (high - low > 1) {
    uint16_t middle = static_cast<uint16_t>((low + high) / 2);
    (number(middle) <= size ? low : high) = middle;
  }
  double below = size - number(low), above = number(high) - size;
  uint16_t nearest = below < above   ? low
                     : below > above ? high
                     : low % 2 == 0  ? low
                                     : high;
  return static_cast<uint16_t>(nearest | (std::signbit(value) ? 0x8000 : 0));
}

TEST(Weights, RoundsToF16LikeHardware) {
  std::vector<float> values;
  // Every f16, its neighbours in f32, and the points halfway to the next one.
  for (uint32_t raw = 0; raw != 0x7c00; ++raw) {
    int exponent = static_cast<int>(raw >> 10), fraction = raw & 0x3ff;
    double at = exponent == 0 ? std::ldexp(fraction, -24)
                              : std::ldexp(1024 + fraction, exponent - 25);
    double step = std::ldexp(1, std::max(exponent, 1) - 25);
    for (double x : {at, at + step / 2}) {
      float center = static_cast<float>(x);
      for (float y : {center, std::nextafter(center, 1e9f),
                      std::nextafter(center, -1e9f)})
        values.push_back(raw % 2 ? -y : y);
    }
  }
  values.push_back(3e38f);
  values.push_back(1e-30f);
  int64_t count = static_cast<int64_t>(values.size());
  Fixture f;
  auto *out = static_cast<const uint16_t *>(f.pack(
      safeTensors(header("F32", 1, count, values.size() * 4), bytesOf(values)),
      spec({1, count}, "rows:f16")));
  ASSERT_NE(out, nullptr) << f.error;
  for (size_t i = 0; i != values.size(); ++i)
    ASSERT_EQ(out[i], nearestF16(values[i])) << values[i];
  std::vector<float> special{NAN, INFINITY, -INFINITY};
  out = static_cast<const uint16_t *>(
      f.pack(safeTensors(header("F32", 1, 3, 12), bytesOf(special)),
             spec({1, 3}, "rows:f16")));
  EXPECT_EQ(out[0], 0x7e00);
  EXPECT_EQ(out[1], 0x7c00);
  EXPECT_EQ(out[2], 0xfc00);
}

TEST(Weights, RoundsScaledElementsOnce) {
  std::vector<float> values{1.0078125f, 1.0078125f, 1.0078125f, 3.0f,
                            0,          0,          1.0078125f, 3.0f};
  std::string header =
      R"({"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
      R"("s":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},)"
      R"("m":{"dtype":"F32","shape":[2,2],"data_offsets":[16,32]}})";
  WeightSpec weight = spec({1, 2}, "rows:bf16");
  weight.parts[0].tensor = "w";
  weight.scale = WeightPart{"s", {2}};
  Fixture f;
  auto *out = static_cast<const uint16_t *>(
      f.pack(safeTensors(header, bytesOf(values)), weight));
  ASSERT_NE(out, nullptr) << f.error;
  EXPECT_EQ(out[0], 0x3f82); // of 1.01568603515625
  EXPECT_EQ(out[1], 0x4042); // of 3.0234375, halfway: to the even one
  weight.scale = WeightPart{"m", {2, 2}, {{1, 2}}}; // the same two
  out = static_cast<const uint16_t *>(
      f.pack(safeTensors(header, bytesOf(values)), weight));
  ASSERT_NE(out, nullptr) << f.error;
  EXPECT_EQ(out[0], 0x3f82);
  EXPECT_EQ(out[1], 0x4042);
}

/// Rows of two tensors as one weight, against the definitions of the packs.
RC_GTEST_PROP(Weights, JoinsAndInterleavesRows, ()) {
  bool interleave = *rc::gen::arbitrary<bool>();
  bool vectors = *rc::gen::arbitrary<bool>();
  int64_t inputs = vectors ? 1 : *rc::gen::inRange<int64_t>(1, 150);
  std::string header = "{", data;
  std::vector<std::vector<float>> rows; // of all parts, in order
  WeightSpec weight;
  weight.pack = interleave ? "interleave8:f32" : "join:f32";
  int64_t outputs = 8 * *rc::gen::inRange<int64_t>(1, 12), first = 0;
  int parts = interleave ? 2 : *rc::gen::inRange(1, 4);
  for (int i = 0; i != parts; ++i) {
    if (!interleave)
      outputs = *rc::gen::inRange<int64_t>(1, 100);
    if (i == 0)
      first = outputs;
    WeightPart part{"t" + std::to_string(i), {outputs}};
    part.transposed = !vectors && *rc::gen::arbitrary<bool>();
    // Every tensor is one row and one column larger than the part.
    int64_t height = (part.transposed ? inputs : outputs) + 1,
            width = (part.transposed ? outputs : inputs) + 1;
    part.shape = vectors ? std::vector<int64_t>{height}
                         : std::vector<int64_t>{height, width};
    part.sliceRows = {1, height};
    if (vectors)
      width = 1;
    else
      part.sliceColumns = {0, width - 1};
    std::vector<float> values = numbers(height * width);
    for (float &value : values)
      value += static_cast<float>(100000 * i);
    for (int64_t n = 0; n != outputs; ++n) {
      std::vector<float> &row = rows.emplace_back();
      for (int64_t k = 0; k != inputs; ++k)
        row.push_back(values[static_cast<size_t>(
            (part.transposed ? (k + 1) * width + n : (n + 1) * width + k))]);
    }
    header += std::string(i ? "," : "") + "\"" + part.tensor +
              R"(":{"dtype":"F32","shape":[)" + std::to_string(height) +
              (vectors ? "" : "," + std::to_string(width)) +
              R"(],"data_offsets":[)" + std::to_string(data.size()) + ",";
    data += bytesOf(values);
    header += std::to_string(data.size()) + "]}";
    weight.parts.push_back(part);
  }
  if (*rc::gen::arbitrary<bool>()) {
    // Its first element is not used.
    std::vector<float> scale = numbers(inputs + 1);
    weight.scale = WeightPart{"scale", {inputs + 1}, {{1, inputs + 1}}};
    header += R"(,"scale":{"dtype":"F32","shape":[)" +
              std::to_string(inputs + 1) + R"(],"data_offsets":[)" +
              std::to_string(data.size()) + ",";
    data += bytesOf(scale);
    header += std::to_string(data.size()) + "]}";
    for (std::vector<float> &row : rows)
      for (size_t k = 0; k != row.size(); ++k)
        row[k] *= scale[k + 1];
  }
  Fixture f;
  auto *out = static_cast<const float *>(
      f.pack(safeTensors(header + "}", data), weight));
  RC_ASSERT(out != nullptr);
  for (size_t r = 0; r != rows.size(); ++r) {
    size_t from = !interleave ? r
                  : r / 8 % 2 == 0
                      ? r / 16 * 8 + r % 8
                      : static_cast<size_t>(first) + r / 16 * 8 + r % 8;
    for (int64_t k = 0; k != inputs; ++k)
      RC_ASSERT(out[static_cast<int64_t>(r) * inputs + k] ==
                rows[from][static_cast<size_t>(k)]);
  }
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
    rows.parts[0].sliceRows = {1, 4};
    auto *out = static_cast<const float *>(f.pack(file(padding), rows));
    ASSERT_NE(out, nullptr) << f.error;
    EXPECT_EQ(f.packed->packedBytes() == 0, padding % 4 == 0);
    EXPECT_EQ(out[0], values[3]);
    EXPECT_EQ(out[8], values[11]);
  }
  Fixture f;
  WeightSpec columns = spec({4, 3}, "rows:f32");
  columns.parts[0].sliceColumns = {1, 3};
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
  layers.parts[0].tensor = "l.{}.n";
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
  has(file, spec({2, 2}, "pan"),
      "weight \"weight\": pack is \"pan\", which is not known");
  WeightSpec missing = spec({2, 2}, "panel:8:f32");
  missing.parts[0].tensor = "v";
  has(file, missing, "no tensor \"v\"");
  WeightSpec outside = spec({2, 2}, "panel:8:f32");
  outside.parts[0].sliceRows = {1, 3};
  has(file, outside, "outside of [2, 2]");
  has(safeTensors(header("I32", 2, 2, 16), bytesOf(numbers(4))),
      spec({2, 2}, "panel:8:f32"), "is I32");
}

TEST(Weights, TakesARowOfAMatrixAsAVector) {
  Fixture f;
  WeightSpec row = spec({4, 3}, "vector");
  row.parts[0].sliceRows = {2, 3};
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

/// What a manifest's slot holds if the weights are random.
std::vector<float> randomSlot(uint64_t seed, const WeightSpec &weight,
                              size_t count) {
  Manifest manifest;
  manifest.weights = {weight};
  Weights weights = Weights::random(manifest, seed);
  EXPECT_FALSE(weights.areOfModel());
  auto packed = weights.pack(manifest);
  EXPECT_TRUE(packed) << packed.error().message;
  auto *data = static_cast<const float *>((*packed)->slots()[0]);
  return {data, data + count};
}

TEST(NoWeights, AreForProgramsThatListNone) {
  Weights none = Weights::none();
  EXPECT_FALSE(none.areOfModel());
  Manifest manifest;
  auto packed = none.pack(manifest);
  ASSERT_TRUE(packed) << packed.error().message;
  EXPECT_EQ((*packed)->packedBytes(), 0u);
  manifest.weights = {spec({8, 8}, "rows:f32")};
  auto refused = none.pack(manifest);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("\"w\""), std::string::npos)
      << refused.error().message;
}

TEST(RandomWeights, DependOnSeedAndPlaceInTheTensorAlone) {
  WeightSpec matrix = spec({40, 300}, "rows:f32");
  std::vector<float> values = randomSlot(7, matrix, 12000);
  EXPECT_EQ(randomSlot(7, matrix, 12000), values);
  EXPECT_NE(randomSlot(8, matrix, 12000), values);
  // A part of it.
  matrix.parts[0].sliceRows = {{3, 5}};
  EXPECT_EQ(randomSlot(7, matrix, 600),
            std::vector<float>(values.begin() + 900, values.begin() + 1500));
  matrix.parts[0].tensor = "v";
  EXPECT_NE(randomSlot(7, matrix, 600),
            std::vector<float>(values.begin() + 900, values.begin() + 1500));
}

TEST(RandomWeights, HaveRandomScales) {
  WeightSpec matrix = spec({40, 30}, "rows:f32");
  std::vector<float> values = randomSlot(7, matrix, 1200);
  std::vector<float> scale = [] {
    WeightSpec vector = spec({30}, "vector");
    vector.parts[0].tensor = "scale";
    return randomSlot(7, vector, 30);
  }();
  for (size_t i = 0; i != values.size(); ++i)
    values[i] *= scale[i % 30];
  matrix.scale = WeightPart{"scale", {30}};
  EXPECT_EQ(randomSlot(7, matrix, 1200), values);
}

TEST(RandomWeights, KeepTheSizeOfRows) {
  auto moments = [](const std::vector<float> &values) {
    double sum = 0, squares = 0;
    for (float value : values) {
      sum += value;
      squares += double(value) * value;
    }
    double count = static_cast<double>(values.size()), mean = sum / count;
    return std::pair(mean, squares / count - mean * mean);
  };
  // A variance of 1 / inputs, also where the inputs are the stored rows.
  WeightSpec matrix = spec({400, 100}, "rows:f32");
  auto [mean, variance] = moments(randomSlot(1, matrix, 40000));
  EXPECT_NEAR(mean, 0, 0.002);
  EXPECT_NEAR(variance, 0.01, 0.0002);
  matrix.parts[0].transposed = true;
  EXPECT_NEAR(moments(randomSlot(1, matrix, 40000)).second, 0.0025, 0.00005);
  WeightSpec vector = spec({1000}, "vector");
  EXPECT_NEAR(moments(randomSlot(1, vector, 1000)).first, 1, 0.01);
  vector.parts[0].tensor = "w.bias";
  EXPECT_NEAR(moments(randomSlot(1, vector, 1000)).first, 0, 0.01);
}

} // namespace
} // namespace rshard::runtime
