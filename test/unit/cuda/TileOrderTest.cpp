// The order in which blocks compute tiles.

#include "TileOrder.h"
#include <gtest/gtest.h>
#include <set>

using namespace rshard::cuda;

namespace {

TEST(TileOrder, VisitsEveryTileOnce) {
  for (int64_t bandRows : {8, 16})
    for (int64_t columns : {1, 2, 7, 8, 15, 16, 17, 43, 150})
      for (int64_t rows : {1, 2, 7, 8, 9, 16, 17, 64}) {
        TileOrder order{columns, bandRows, 128 / bandRows};
        std::set<std::pair<int64_t, int64_t>> seen;
        for (int64_t tile = 0; tile != rows * columns; ++tile) {
          auto [row, column] = order.at(tile, rows);
          ASSERT_TRUE(row >= 0 && row < rows && column >= 0 && column < columns)
              << tile << " of " << rows << " x " << columns << " is " << row
              << ", " << column;
          seen.insert({row, column});
        }
        EXPECT_EQ(seen.size(), static_cast<size_t>(rows * columns))
            << rows << " x " << columns;
      }
}

TEST(TileOrder, WorksOnANearlySquarePartAtATime) {
  TileOrder order{32, 8, 16};
  for (int64_t first = 0; first != 64 * 32; first += 128) {
    std::set<int64_t> rows, columns;
    for (int64_t tile = first; tile != first + 128; ++tile) {
      auto [row, column] = order.at(tile, int64_t(64));
      rows.insert(row);
      columns.insert(column);
    }
    EXPECT_EQ(rows.size(), 8u);
    EXPECT_EQ(columns.size(), 16u);
  }
}

TEST(TileOrder, TurnsAtTheEndOfAStrip) {
  TileOrder order{32, 8, 16};
  int64_t strip = 64 * 16;
  EXPECT_EQ(order.at(strip - 1, int64_t(64)).row, 63);
  EXPECT_EQ(order.at(strip, int64_t(64)).row, 63);
  EXPECT_EQ(order.at(2 * strip - 1, int64_t(64)).row, 0);
}

} // namespace
