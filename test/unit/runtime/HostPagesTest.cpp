#include "HostPages.h"

#include <gtest/gtest.h>

namespace rshard::runtime {
namespace {

TEST(HostPages, AreZeroUntilWritten) {
  for (PageUse use : {PageUse::Sparse, PageUse::Dense}) {
    auto pages = mapPages(10000, use, "rows");
    ASSERT_TRUE(pages) << pages.error().message;
    std::byte *first = pages->get();
    for (int64_t i = 0; i != 10000; ++i)
      ASSERT_EQ(first[i], std::byte(0)) << i;
    first[0] = first[9999] = std::byte(1);
  }
}

TEST(HostPages, SaysWhatThereIsNoMemoryFor) {
  for (PageUse use : {PageUse::Sparse, PageUse::Dense}) {
    auto pages = mapPages(uint64_t(1) << 62, use, "an arena");
    ASSERT_FALSE(pages);
    EXPECT_EQ(pages.error().message,
              "no memory for an arena of 4611686018427387904 bytes: Cannot "
              "allocate memory");
  }
}

} // namespace
} // namespace rshard::runtime
