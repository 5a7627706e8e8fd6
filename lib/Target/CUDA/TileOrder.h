//===- TileOrder.h - which tile of a result comes when -----------*- C++
//-*-===//
//
// Blocks compute the tiles of a result in one order, each every n-th one. What
// they work on at the same time should need few rows of x and of w, and what
// comes next should find some of them in the L2 cache. So the result is cut
// into strips of columns, which follow one another; a strip into bands of rows,
// alternately downwards and upwards; and a band is walked column by column.
//
// The formula is a template so that a test can evaluate it: Number is Int in a
// kernel, which decodes a tile once, and int64_t in the test.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_TILEORDER_H
#define RSHARD_LIB_TARGET_CUDA_TILEORDER_H

#include "DeviceBuilder.h"

namespace rshard::cuda {

inline Int smaller(Int a, Int b) { return a.builder().min(a, b); }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

struct TileOrder {
  int64_t columns;      ///< tiles in a row of the result
  int64_t bandRows;     ///< tiles
  int64_t stripColumns; ///< tiles

  template <typename Number> struct Place {
    Number row, column;
  };
  /// The place of tile number `tile` of `rows` rows of tiles.
  template <typename Number> Place<Number> at(Number tile, Number rows) const {
    Number zero = tile - tile;
    Number strip = tile / (rows * stripColumns);
    Number first = strip * stripColumns; // its first column
    Number inStrip = tile - first * rows;
    Number width = smaller(zero + columns - first, zero + stripColumns);
    Number perBand = width * bandRows;
    Number band = inStrip / perBand;
    Number inBand = inStrip - band * perBand;
    Number height = smaller(rows - band * bandRows, zero + bandRows);
    Number column = inBand / height;
    Number down = band * bandRows + (inBand - column * height);
    // Odd strips start at the rows where the one before has ended.
    Number up = rows - down - (zero + 1);
    Number row = down + (strip & 1) * (up - down);
    return {row, first + column};
  }
};

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_TILEORDER_H
