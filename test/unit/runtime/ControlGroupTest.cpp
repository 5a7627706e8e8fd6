#include "ControlGroup.h"
#include "TestFiles.h"

#include <gtest/gtest.h>
#include <limits>

namespace rshard::runtime {
namespace {

class ControlGroupTest : public testing::Test {
protected:
  void group(const std::string &name, const std::string &limit,
             const std::string &used, const std::string &stat = "") {
    std::filesystem::create_directories(directory / name);
    directory.write(name + "/memory.max", limit + "\n");
    directory.write(name + "/memory.current", used + "\n");
    directory.write(name + "/memory.stat", stat);
  }
  uint64_t available(const std::string &membership) {
    return availableInGroup(directory.write("membership", membership),
                            directory / "root");
  }
  static constexpr uint64_t unlimited = std::numeric_limits<uint64_t>::max();
  TestDirectory directory;
};

TEST_F(ControlGroupTest, TheTightestGroupCounts) {
  group("root/a", "max", "7000");
  group("root/a/b", "5000", "1000");
  group("root/a/b/c", "9000", "100");
  EXPECT_EQ(available("0::/a\n"), unlimited);
  EXPECT_EQ(available("4:memory:/other\n0::/a/b\n"), 4000u);
  EXPECT_EQ(available("0::/a/b/c\n"), 4000u);
  group("root/a/b/c", "3000", "100");
  EXPECT_EQ(available("0::/a/b/c\n"), 2900u);
}

// In a namespace of its own a container's group is the root.
TEST_F(ControlGroupTest, TheRootMayHaveALimit) {
  group("root", "6000", "6500");
  EXPECT_EQ(available("0::/\n"), 0u);
  group("root", "6000", "500");
  EXPECT_EQ(available("0::/\n"), 5500u);
}

TEST_F(ControlGroupTest, PagesOfFilesAreGivenBack) {
  group("root", "6000", "5000",
        "anon 1000\nfile 3500\ninactive_file 3000\nactive_file 500\n");
  EXPECT_EQ(available("0::/\n"), 4500u);
}

TEST_F(ControlGroupTest, NothingIsKnown) {
  EXPECT_EQ(available("4:memory:/a\n"), unlimited);
  EXPECT_EQ(available("0::/none\n"), unlimited);
  EXPECT_EQ(availableInGroup(directory / "none", directory / "root"),
            unlimited);
}

} // namespace
} // namespace rshard::runtime
