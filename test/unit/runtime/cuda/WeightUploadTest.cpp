#include "WeightUpload.h"
#include "FakeDriver.h"
#include "TestFiles.h"

#include <cstring>
#include <gtest/gtest.h>

namespace rshard::runtime::cuda {
namespace {

/// Two layers with a gate, an up matrix and a scale.
class WeightUploadTest : public testing::Test {
protected:
  WeightUploadTest() {
    fakecuda::reset();
    std::string header = "{";
    std::vector<float> data;
    for (const std::string layer : {"0", "1"})
      for (const std::string name : {"gate", "up", "scale"}) {
        size_t begin = data.size() * 4, count = name == "scale" ? 3 : 48;
        header += (begin ? ",\"" : "\"") + layer + "." + name +
                  R"(":{"dtype":"F32","shape":)" +
                  (name == "scale" ? "[3]" : "[16,3]") +
                  R"(,"data_offsets":[)" + std::to_string(begin) + "," +
                  std::to_string(begin + count * 4) + "]}";
        for (size_t i = 0; i != count; ++i)
          data.push_back(static_cast<float>(data.size()) * 0.5f);
      }
    directory.write("m.safetensors", safeTensors(header + "}", bytesOf(data)));
    std::vector<WeightPart> both{{"{}.gate", {16, 3}}, {"{}.up", {16, 3}}};
    std::pair<int64_t, int64_t> layers{0, 2};
    manifest.weights = {
        {"gated", layers, 0, "interleave8:bf16", both},
        {"joined", layers, 2, "join:f16", both},
        {"scale", layers, 4, "vector", {{"{}.scale", {3}}}},
        {"gate", layers, 6, "rows:f32", {{"{}.gate", {16, 3}}}}};
  }
  ~WeightUploadTest() override {
    EXPECT_EQ(fakecuda::seen().used, 0u);
    EXPECT_EQ(fakecuda::seen().usedHost, 0u);
    EXPECT_EQ(fakecuda::seen().objects, 0u);
  }
  std::shared_ptr<Context> context() {
    auto created = Context::create(0, "sm_90a");
    EXPECT_TRUE(created) << created.error().message;
    return *created;
  }
  Weights weights() { return *Weights::open(directory.path); }

  TestDirectory directory;
  Manifest manifest;
};

std::string onDevice(Context &context, const void *data, size_t bytes) {
  std::string out(bytes, '\0');
  Expected<Stream> stream = Stream::create(context.shared_from_this());
  Context::Use use(context);
  EXPECT_EQ(context.driver().copyToHost(out.data(), addressOf(data), bytes,
                                        stream->get()),
            0);
  EXPECT_EQ(context.driver().streamSynchronize(stream->get()), 0);
  return out;
}

TEST_F(WeightUploadTest, PutsOnTheDeviceWhatTheHostPacks) {
  auto gpu = context();
  WeightUpload upload(gpu);
  auto files = weights();
  auto device = files.packInto(upload, manifest);
  ASSERT_TRUE(device) << device.error().message;
  auto host = files.pack(manifest);
  ASSERT_TRUE(host) << host.error().message;
  for (size_t slot = 0; slot != 8; ++slot) {
    size_t bytes = slot < 4 ? 2 * 96 : slot < 6 ? 12 : 192;
    std::string expected(bytes, '\0');
    std::memcpy(expected.data(), (*host)->slots()[slot], bytes);
    EXPECT_EQ(onDevice(*gpu, (*device)->slots()[slot], bytes), expected)
        << slot;
    EXPECT_EQ(reinterpret_cast<uintptr_t>((*device)->slots()[slot]) % 64, 0u);
  }
}

TEST_F(WeightUploadTest, RandomWeightsAreThoseOfTheHost) {
  auto gpu = context();
  WeightUpload upload(gpu);
  Weights random = Weights::random(manifest, 5);
  auto device = random.packInto(upload, manifest), host = random.pack(manifest);
  ASSERT_TRUE(device && host);
  std::string expected(192, '\0');
  std::memcpy(expected.data(), (*host)->slots()[2], 192);
  EXPECT_EQ(onDevice(*gpu, (*device)->slots()[2], 192), expected);
}

TEST_F(WeightUploadTest, SessionsShareWhatIsOnADevice) {
  auto gpu = context();
  auto files = weights();
  auto need = [&] { return *files.bytesToPack(WeightUpload(gpu), manifest); };
  uint64_t bytes = need();
  EXPECT_EQ(bytes, 4u * 192 + 2 * 64 + 2 * 192);
  {
    WeightUpload first(gpu), second(gpu);
    auto one = files.packInto(first, manifest),
         two = files.packInto(second, manifest);
    ASSERT_TRUE(one && two);
    EXPECT_EQ(one->get(), two->get());
    EXPECT_EQ(fakecuda::seen().used, bytes);
    EXPECT_EQ(need(), 0u);
  }
  EXPECT_EQ(fakecuda::seen().used, 0u);
  EXPECT_EQ(need(), bytes);
}

TEST_F(WeightUploadTest, SaysThatThereIsNoMemory) {
  fakecuda::reset({.memory = 1000});
  WeightUpload upload(context());
  auto packed = weights().packInto(upload, manifest);
  ASSERT_FALSE(packed);
  EXPECT_EQ(packed.error().message,
            "device 0 (Fake GPU) has 1000 bytes free, 1280 bytes are needed");
}

} // namespace
} // namespace rshard::runtime::cuda
