#include "rshard/runtime/Hash.h"
#include "TestFiles.h"

#include <chrono>
#include <gtest/gtest.h>
#include <thread>

namespace rshard::runtime {
namespace {

std::string tensorFile(const char *name, const char *data) {
  return safeTensors(
      std::string("{\"") + name +
          R"(":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
      data);
}

/// What changes now has another time of change than what changed before.
void waitForTheNextTick() {
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

TEST(Hash, KnowsSha256) {
  EXPECT_EQ(sha256(std::string_view("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Hash, IdentityIsConfigurationAndTensorTable) {
  TestDirectory directory;
  auto identity = [&](const char *config, const char *name, const char *data) {
    directory.write("m.safetensors", tensorFile(name, data));
    Expected<SafeTensors> file = SafeTensors::open(directory / "m.safetensors");
    return *modelIdentity(config, *file);
  };
  std::string base = identity(R"({"a":1,"b":[2]})", "w", "xy");
  EXPECT_EQ(base, identity(R"({ "b" : [2], "a":1 })", "w", "xy"));
  EXPECT_EQ(base, identity(R"({"a":1,"b":[2]})", "w", "zz"));
  EXPECT_NE(base, identity(R"({"a":1,"b":[3]})", "w", "xy"));
  EXPECT_NE(base, identity(R"({"a":1,"b":[2]})", "v", "xy"));
}

TEST(Hash, RefusesABadConfiguration) {
  TestDirectory directory;
  Expected<SafeTensors> file = SafeTensors::open(
      directory.write("m.safetensors", tensorFile("w", "xy")));
  EXPECT_FALSE(modelIdentity("{", *file));
  EXPECT_FALSE(modelIdentity("[]", *file));
  EXPECT_FALSE(modelIdentity(R"({"a":1,"a":2})", *file));
}

TEST(Hash, ContentIsCachedUntilTheFileChanges) {
  TestDirectory directory;
  ASSERT_EQ(::setenv("XDG_CACHE_HOME", directory.path.c_str(), 1), 0);
  EXPECT_EQ(cacheDirectory(), directory / "rshard");
  auto path = directory.write("m.safetensors", tensorFile("w", "xy"));
  waitForTheNextTick();
  auto content = [&] { return *contentHash(*SafeTensors::open(path)); };
  std::string first = content();
  auto cache = directory / "rshard" / "sha256";
  std::vector<std::filesystem::path> entries(
      std::filesystem::directory_iterator(cache), {});
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(readAll(entries[0]), sha256(std::string_view(readAll(path))));
  EXPECT_EQ(content(), first);
  // The entry is what is used: a false one shows.
  std::ofstream(entries[0]) << std::string(64, 'a');
  EXPECT_NE(content(), first);
  // One that is no hash is not.
  std::ofstream(entries[0]) << "rubbish";
  EXPECT_EQ(content(), first);
  ::unsetenv("XDG_CACHE_HOME");
}

// C10: neither size nor time of modification tells these files apart.
TEST(Hash, OtherContentIsNeverTakenFromTheCache) {
  TestDirectory directory;
  ASSERT_EQ(::setenv("XDG_CACHE_HOME", directory.path.c_str(), 1), 0);
  auto path = directory / "m.safetensors";
  auto write = [&](const char *data) {
    directory.write("m.safetensors", tensorFile("w", data));
    std::filesystem::last_write_time(path, {});
  };
  auto content = [&] { return *contentHash(*SafeTensors::open(path)); };
  write("xy");
  waitForTheNextTick();
  std::string first = content();
  write("zz");
  std::string second = content();
  EXPECT_NE(second, first) << "written in place";
  std::filesystem::remove(path);
  write("xy");
  EXPECT_EQ(content(), first) << "another file in its place";
  std::filesystem::remove(path);
  std::filesystem::rename(directory.write("other", tensorFile("w", "zz")),
                          path);
  std::filesystem::last_write_time(path, {});
  EXPECT_EQ(content(), second) << "another file moved to its place";
  // Within one tick of the file system's clock.
  for (int i = 0; i < 100; ++i) {
    write("xy");
    EXPECT_EQ(content(), first);
    write("zz");
    EXPECT_EQ(content(), second);
  }
  ::unsetenv("XDG_CACHE_HOME");
}

} // namespace
} // namespace rshard::runtime
