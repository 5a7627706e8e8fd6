#include "rshard/runtime/SafeTensors.h"
#include "TestFiles.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace rshard::runtime {
namespace {

/// Opens `bytes` as a file and returns the error, or "" if there is none.
std::string errorOf(const std::string &bytes) {
  TestDirectory directory;
  Expected<SafeTensors> file =
      SafeTensors::open(directory.write("model.safetensors", bytes));
  return file ? "" : file.error().message;
}

#define EXPECT_ERROR(bytes, text)                                              \
  EXPECT_NE(errorOf(bytes).find(text), std::string::npos) << errorOf(bytes)

std::string one(const std::string &entry, const std::string &data) {
  return safeTensors("{\"a\":" + entry + "}", data);
}

TEST(SafeTensors, ReadsTensorsSortedByName) {
  TestDirectory directory;
  auto path = directory.write(
      "x.safetensors",
      safeTensors(
          R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[2,10]},)"
          R"("a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]},"e":{"dtype":"I64","shape":[0,7],"data_offsets":[10,10]}}   )",
          std::string("\x80\x3f", 2) + bytesOf({3, 4})));
  Expected<SafeTensors> file = SafeTensors::open(path);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(file->tensors()[0].name, "a");
  EXPECT_EQ(file->tensors()[0].type, DType::BF16);
  EXPECT_EQ(file->tensors()[0].elements(), 1);
  const Tensor *b = file->find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->shapeText(), "[1, 2]");
  float values[2];
  std::memcpy(values, b->data, 8);
  EXPECT_EQ(values[1], 4);
  EXPECT_EQ(file->find("e")->bytes, 0u);
  EXPECT_EQ(file->find("c"), nullptr);
  EXPECT_FALSE(file->get("c"));
}

TEST(SafeTensors, NamesTheNearestTensor) {
  TestDirectory directory;
  auto path = directory.write(
      "x.safetensors",
      safeTensors(
          R"({"model.norm":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
          "x"));
  Expected<SafeTensors> file = SafeTensors::open(path);
  ASSERT_TRUE(file);
  EXPECT_NE(
      file->get("model.nrm").error().message.find("nearest is \"model.norm\""),
      std::string::npos);
}

TEST(SafeTensors, RefusesBadHeaders) {
  EXPECT_ERROR("", "too few");
  EXPECT_ERROR("1234567", "too few");
  EXPECT_ERROR(std::string(8, '\xff'), "at most 100000000");
  EXPECT_ERROR(safeTensors("{}").substr(0, 9), "truncated");
  EXPECT_ERROR(safeTensors(""), "does not begin with '{'");
  EXPECT_ERROR(safeTensors(" {}"), "does not begin with '{'");
  EXPECT_ERROR(safeTensors("[]"), "does not begin with '{'");
  EXPECT_ERROR(safeTensors("{\"a\":"), "not valid JSON");
  EXPECT_ERROR(safeTensors("{} x"), "not valid JSON");
  EXPECT_ERROR(safeTensors("{\"\xff\":1}"), "not valid JSON");
  EXPECT_ERROR(safeTensors("{\"a\":" + std::string(1000, '[')), "nested");
  EXPECT_ERROR(safeTensors(R"({"__metadata__":[]})"), "__metadata__");
  EXPECT_ERROR(safeTensors(R"({"__metadata__":{"a":1}})"), "__metadata__");
}

TEST(SafeTensors, RefusesDuplicateKeys) {
  EXPECT_ERROR(
      safeTensors(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
          "xy"),
      "duplicate key \"a\"");
  EXPECT_ERROR(
      one(R"({"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]})",
          "x"),
      "duplicate key \"dtype\"");
}

TEST(SafeTensors, RefusesBadEntries) {
  EXPECT_ERROR(one("3", ""), "tensor \"a\": entry is not an object");
  EXPECT_ERROR(one(R"({"shape":[1],"data_offsets":[0,1]})", "x"), "dtype");
  EXPECT_ERROR(one(R"({"dtype":"F31","shape":[1],"data_offsets":[0,1]})", "x"),
               "unknown dtype \"F31\"");
  EXPECT_ERROR(one(R"({"dtype":"U8","shape":1,"data_offsets":[0,1]})", "x"),
               "shape is missing or not an array");
  EXPECT_ERROR(one(R"({"dtype":"U8","shape":[-1],"data_offsets":[0,1]})", "x"),
               "not a non-negative integer: -1");
  EXPECT_ERROR(one(R"({"dtype":"U8","shape":[1.0],"data_offsets":[0,1]})", "x"),
               "not a non-negative integer");
  EXPECT_ERROR(one(R"({"dtype":"U8","shape":[1],"data_offsets":[0]})", "x"),
               "array of two");
  EXPECT_ERROR(
      one(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":0})", "x"),
      "unknown field \"x\"");
}

TEST(SafeTensors, RefusesBadRanges) {
  EXPECT_ERROR(one(R"({"dtype":"U8","shape":[1],"data_offsets":[1,0]})", "xy"),
               "end before they begin");
  EXPECT_ERROR(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", "xy"),
               "beyond the file's 2 bytes");
  EXPECT_ERROR(
      one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", "abcd"),
      "hold 4 bytes, but F32 [2] needs 8");
  EXPECT_ERROR(
      one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})",
          ""),
      "overflows");
  EXPECT_ERROR(
      one(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,0]})",
          ""),
      "does not fit 63 bits");
  // Zero times anything is nothing, in any order.
  EXPECT_EQ(
      errorOf(one(
          R"({"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]})",
          "")),
      "");
}

TEST(SafeTensors, RefusesOverlapsAndHoles) {
  auto two = [](const char *a, const char *b, const std::string &data) {
    return safeTensors(
        std::string(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)") + a +
            R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}",
        data);
  };
  EXPECT_EQ(errorOf(two("[0,2]", "[2,4]", "wxyz")), "");
  EXPECT_EQ(errorOf(two("[2,4]", "[0,2]", "wxyz")), "");
  EXPECT_ERROR(two("[0,2]", "[1,3]", "xyz"), "inside tensor \"a\"");
  EXPECT_ERROR(two("[0,2]", "[0,2]", "xy"), "inside tensor \"a\"");
  EXPECT_ERROR(two("[0,2]", "[3,5]", "vwxyz"), "no holes");
  EXPECT_ERROR(two("[1,3]", "[3,5]", "vwxyz"), "no holes");
  EXPECT_ERROR(two("[0,2]", "[2,4]", "vwxyz"), "cover 4 of 5 bytes");
}

TEST(SafeTensors, ReadsShardsThroughAnIndex) {
  TestDirectory directory;
  std::string shard = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  directory.write("one.safetensors", safeTensors("{\"a\":" + shard, "x"));
  directory.write("two.safetensors", safeTensors("{\"b\":" + shard, "y"));
  auto open = [&](const std::string &map) {
    directory.write("model.safetensors.index.json",
                    R"({"metadata":{},"weight_map":)" + map + "}");
    return SafeTensors::open(directory.path);
  };
  auto error = [&](const std::string &map) {
    Expected<SafeTensors> file = open(map);
    return file ? std::string() : file.error().message;
  };
  Expected<SafeTensors> file =
      open(R"({"a":"one.safetensors","b":"two.safetensors"})");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->files().size(), 2u);
  EXPECT_EQ(*reinterpret_cast<const char *>(file->find("b")->data), 'y');

  auto has = [&](const std::string &map, const char *text) {
    EXPECT_NE(error(map).find(text), std::string::npos) << error(map);
  };
  has(R"({"a":"one.safetensors","b":"three.safetensors"})", "cannot open");
  has(R"({"a":"one.safetensors","b":"one.safetensors"})",
      "\"b\" is not in one.safetensors");
  has(R"({"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"})",
      "\"c\" is not in two.safetensors");
  has(R"({"a":"two.safetensors","b":"two.safetensors"})",
      "\"a\" is not in two");
  has(R"({"b":"one.safetensors"})", "does not list it");
  has(R"({"a":"../one.safetensors"})", "not a plain file name");
  has(R"({"a":1})", "not a string");
  has("[]", "weight_map");
  has("{}", "\"weight_map\" names no tensor");
  has(R"({"a":"one.safetensors","a":"one.safetensors"})", "duplicate key");
}

TEST(SafeTensors, FindsTheFileOfADirectory) {
  TestDirectory directory;
  EXPECT_FALSE(SafeTensors::open(directory.path));
  EXPECT_FALSE(SafeTensors::open(directory / "nothing"));
  directory.write("x.safetensors", safeTensors("{}"));
  EXPECT_TRUE(SafeTensors::open(directory.path));
  directory.write("y.safetensors", safeTensors("{}"));
  EXPECT_FALSE(SafeTensors::open(directory.path));
  directory.write("model.safetensors", safeTensors("{}"));
  EXPECT_TRUE(SafeTensors::open(directory.path));
}

TEST(SafeTensors, ReadsRegularFilesOnly) {
  TestDirectory directory;
  std::filesystem::path path = directory / "model.safetensors";
  auto refuses = [&] {
    Expected<SafeTensors> file = SafeTensors::open(directory.path);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().message, path.string() + ": not a regular file");
    std::filesystem::remove(path);
  };
  std::filesystem::create_symlink("/dev/zero", path);
  refuses();
  std::filesystem::create_directory(path);
  refuses();
  // Nobody writes to it: opening it must not wait.
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  refuses();
}

TEST(SafeTensors, ReadsTheGoldenModels) {
  for (const char *name :
       {"bert-tiny", "gpt2-tiny", "llama-tiny", "qwen2-tiny", "smol-tiny"}) {
    std::filesystem::path path = std::filesystem::path(RSHARD_GOLDEN) / name;
    Expected<SafeTensors> model = SafeTensors::open(path);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_GT(model->tensors().size(), 10u);
    Expected<SafeTensors> reference =
        SafeTensors::open(path / "reference.safetensors");
    ASSERT_TRUE(reference) << reference.error().message;
    EXPECT_NE(reference->find("tokens_13"), nullptr);
  }
}

} // namespace
} // namespace rshard::runtime
