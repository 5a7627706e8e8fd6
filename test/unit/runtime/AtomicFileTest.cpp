#include "rshard/runtime/AtomicFile.h"
#include "TestFiles.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rshard::runtime {
namespace {
namespace fs = std::filesystem;

class AtomicFile : public testing::Test {
protected:
  std::string errorOf(const fs::path &path) {
    tokenset::Expected<void> written = writeFileAtomically(path, "new");
    return written ? "" : written.error().message;
  }
  size_t entries() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(directory.path), {}));
  }
  static mode_t modeOf(const fs::path &path) {
    struct stat status{};
    ::stat(path.c_str(), &status);
    return status.st_mode & 0777;
  }
  TestDirectory directory;
};

TEST_F(AtomicFile, MakesAndReplacesFiles) {
  mode_t mask = ::umask(027);
  EXPECT_EQ(errorOf(directory / "a"), "");
  ::umask(mask);
  EXPECT_EQ(modeOf(directory / "a"), 0640u);
  fs::path b = directory.write("b", "old and longer");
  ::chmod(b.c_str(), 0604);
  int before = ::open(b.c_str(), O_RDONLY);
  EXPECT_EQ(errorOf(b), "");
  EXPECT_EQ(readAll(b), "new");
  EXPECT_EQ(modeOf(b), 0604u);
  // Whoever reads the old file goes on reading the old file.
  char old[4] = {};
  EXPECT_EQ(::read(before, old, 3), 3);
  EXPECT_STREQ(old, "old");
  ::close(before);
  EXPECT_EQ(entries(), 2u);
}

TEST_F(AtomicFile, FollowsLinksThatStay) {
  fs::create_directory(directory / "d");
  fs::create_symlink("d/target", directory / "one");
  fs::create_symlink(directory / "one", directory / "two");
  EXPECT_EQ(errorOf(directory / "two"), ""); // the target is made
  EXPECT_EQ(readAll(directory / "d/target"), "new");
  directory.write("d/target", "old");
  EXPECT_EQ(errorOf(directory / "one"), "");
  EXPECT_EQ(readAll(directory / "d/target"), "new");
  EXPECT_TRUE(fs::is_symlink(directory / "one"));
  EXPECT_TRUE(fs::is_symlink(directory / "two"));
  fs::create_symlink("loop", directory / "loop");
  EXPECT_NE(errorOf(directory / "loop").find("symbolic links"),
            std::string::npos);
}

TEST_F(AtomicFile, WritesThroughWhatCannotBeReplaced) {
  EXPECT_EQ(errorOf("/dev/null"), "");
  EXPECT_EQ(errorOf("/dev/full"),
            "/dev/full: cannot write: No space left on device");
  EXPECT_NE(errorOf(directory.path).find("Is a directory"), std::string::npos);
  EXPECT_NE(errorOf(directory / "none/a").find("cannot create"),
            std::string::npos);
  // An open file, which has another name by now.
  fs::path a = directory.write("a", "old and longer");
  int descriptor = ::open(a.c_str(), O_RDWR);
  fs::rename(a, directory / "b");
  directory.write("a", "another");
  fs::path open = "/proc/self/fd/" + std::to_string(descriptor);
  EXPECT_EQ(errorOf(open), "");
  fs::create_symlink(open, directory / "link");
  EXPECT_EQ(errorOf(directory / "link"), "");
  ::close(descriptor);
  EXPECT_EQ(readAll(directory / "b"), "new");
  EXPECT_EQ(readAll(directory / "a"), "another");
  EXPECT_EQ(entries(), 3u);
}

} // namespace
} // namespace rshard::runtime
