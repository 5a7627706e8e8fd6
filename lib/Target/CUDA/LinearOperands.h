//===- LinearOperands.h - what tiled matrix products read --------*- C++
//-*-===//
//
// Tensor maps of x and w, and copies of tiles of w. Tiles are 64 values of K
// deep: rows of 128 bytes, with the copy engine's swizzle of as many.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_LINEAROPERANDS_H
#define RSHARD_LIB_TARGET_CUDA_LINEAROPERANDS_H

#include "AsyncCopy.h"
#include "rshard/Target/CUDA/KernelLibrary.h"
#include <array>
#include <optional>

namespace rshard::cuda {

/// Values of K in a tile.
constexpr int64_t tileDepth = 64;
/// Bytes of `rows` rows of a tile.
constexpr int64_t tileBytes(int64_t rows) { return rows * tileDepth * 2; }

/// The map of a matrix of `width` elements a row and `rows` rows, those of
/// argument number `argument` if not given, in boxes of [columns, rows].
MapAttr matrixMap(mlir::Type element, int64_t argument, int64_t width,
                  std::optional<int64_t> rows, std::array<int64_t, 2> box,
                  int64_t swizzle);

/// Tiles of x are copied in boxes, and those that lie behind the last row are
/// left out: for them the copy engine takes longer than for rows that exist.
/// Sums of rows that do not exist are garbage, and nobody reads them.
struct InputTile {
  int64_t rows;
  int64_t boxRows; ///< divides rows

  /// Of argument number `argument`.
  MapAttr map(const LinearParams &params, int64_t argument) const;
  /// The boxes to copy where `left` rows are left, at least one.
  Int boxes(Int left) const;
  Int bytes(Int boxes) const { return boxes * tileBytes(boxRows); }
  /// `at` are the tile's first value of K and its first row.
  void copy(DeviceBuilder &k, mlir::Value map, Int boxes, Int destination,
            Int barrier, std::array<Int, 2> at) const;
};

/// The map of w, in tiles of `rows` rows. With a rotation a tile is made of
/// boxes of PanelShape::boxRows, half of them of either half of a head: the
/// map's dimensions are K, rows of half a head, the two halves, and heads.
MapAttr weightMap(const LinearParams &params, int64_t argument, int64_t rows);

/// Copies a tile of `rows` rows of w: `at` are its first value of K and its
/// first row.
void copyWeightTile(DeviceBuilder &k, const LinearParams &params,
                    mlir::Value map, int64_t rows, Int destination, Int barrier,
                    std::array<Int, 2> at);

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_LINEAROPERANDS_H
