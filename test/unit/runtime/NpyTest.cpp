#include "rshard/runtime/Npy.h"
#include "TestFiles.h"

#include <gtest/gtest.h>

namespace rshard::runtime {
namespace {

std::string npy(const std::string &header, const std::string &data) {
  std::string out("\x93NUMPY\x01\0", 8);
  out += static_cast<char>(header.size());
  out += '\0';
  return out + header + data;
}

TEST(Npy, RoundTripsIntegers) {
  TestDirectory directory;
  std::vector<int32_t> values{1, -2, INT32_MAX, INT32_MIN};
  ASSERT_TRUE(writeNpy(directory / "a.npy", values));
  Expected<std::vector<int32_t>> read = readNpyIntegers(directory / "a.npy");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, values);
}

TEST(Npy, WritesFloatsAsNumPyDoes) {
  TestDirectory directory;
  std::vector<float> values{1, 2, 3, 4, 5, 6};
  ASSERT_TRUE(writeNpy(directory / "a.npy", values, 2, 3));
  std::string text = readAll(directory / "a.npy");
  EXPECT_EQ(text.size(), 128u + 24);
  EXPECT_EQ(text.substr(10, 61),
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  ");
  EXPECT_EQ(text[127], '\n');
  EXPECT_EQ(text.substr(128), bytesOf(values));
  EXPECT_FALSE(writeNpy(directory / "b.npy", values, 2, 4));
  EXPECT_FALSE(std::filesystem::exists(directory / "b.npy"));
  EXPECT_FALSE(writeNpy(directory / "none/b.npy", values, 2, 3));
}

TEST(Npy, ReadsEveryIntegerType) {
  TestDirectory directory;
  auto read = [&](const std::string &type, const std::string &shape,
                  const std::string &data) {
    directory.write(
        "a.npy", npy("{'descr': '" + type +
                         "', 'fortran_order': False, 'shape': " + shape + ", }",
                     data));
    return readNpyIntegers(directory / "a.npy");
  };
  EXPECT_EQ(*read("|i1", "(2,)", std::string("\xff\x05", 2)),
            (std::vector<int32_t>{-1, 5}));
  EXPECT_EQ(*read(">i2", "(1,)", std::string("\x01\x02", 2)),
            (std::vector<int32_t>{258}));
  EXPECT_EQ(*read("<u2", "(1,)", std::string("\xff\xff", 2)),
            (std::vector<int32_t>{65535}));
  EXPECT_EQ(*read("<i8", "(1,)", std::string(8, '\xff')),
            (std::vector<int32_t>{-1}));
  EXPECT_EQ(*read("<i8", "(0,)", ""), (std::vector<int32_t>{}));
  EXPECT_FALSE(read("<u8", "(1,)", std::string(8, '\xff')));
  EXPECT_FALSE(read("<u4", "(1,)", std::string(4, '\xff')));
  EXPECT_FALSE(read("<i8", "(1,)", std::string("\0\0\0\0\x01\0\0\0", 8)));
  EXPECT_FALSE(read("<f4", "(1,)", std::string(4, '\0')));
  EXPECT_FALSE(read("<i4", "(1, 1)", std::string(4, '\0')));
  EXPECT_FALSE(read("<i4", "()", std::string(4, '\0')));
  EXPECT_FALSE(read("<i4", "(2,)", std::string(4, '\0')));
  EXPECT_FALSE(read("<i4", "(99999999999999999999,)", std::string(4, '\0')));
}

TEST(Npy, RefusesOtherFiles) {
  TestDirectory directory;
  EXPECT_FALSE(readNpyIntegers(directory / "none.npy"));
  EXPECT_FALSE(readNpyIntegers(directory.write("a", "1, 2, 3, 4, 5, 6")));
  EXPECT_FALSE(readNpyIntegers(
      directory.write("b", std::string("\x93NUMPY\x01\0\xff\xff{}", 12))));
  EXPECT_FALSE(readNpyIntegers(
      directory.write("c", std::string("\x93NUMPY\x09\0\x02\0{}", 12))));
}

} // namespace
} // namespace rshard::runtime
