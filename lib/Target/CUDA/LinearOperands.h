//===- LinearOperands.h - what kernels of matrix products take ---*- C++
//-*-===//
//
// Their parameters; and of those that copy tiles, tensor maps of x and w, and
// copies. Tiles are 64 values of K deep: rows of 128 bytes, with the copy
// engine's swizzle of as many.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_LINEAROPERANDS_H
#define RSHARD_LIB_TARGET_CUDA_LINEAROPERANDS_H

#include "AsyncCopy.h"
#include "Wgmma.h"
#include "rshard/Target/CUDA/KernelLibrary.h"
#include <array>
#include <optional>

namespace rshard::cuda {

/// A kernel's parameters. x, w, residual and results are addresses or maps, as
/// the kernel has them.
struct LinearOperands {
  LinearOperands() = default;
  /// `parameters` are in the order of KernelLibrary::linear, with raw in the
  /// place of x where the kernel normalises it.
  LinearOperands(DeviceBuilder &k, const LinearParams &params,
                 mlir::ValueRange parameters);
  /// The numbers of arguments: of the rows that are multiplied, how many there
  /// are up to the last result, and of what follows.
  static int64_t input(const LinearParams &params);
  static int64_t arguments(const LinearParams &params);
  static int64_t argumentOfFactors(const LinearParams &params);
  static int64_t argumentOfSquares(const LinearParams &params);

  mlir::Value x, w, residual;
  Global bias, positions, angles;
  llvm::SmallVector<mlir::Value> results;
  Global factors, squares;
  Global source; ///< see KernelLibrary::linearOfPartial
  Int rows;
};

/// With a rotation, tiles of w are made of boxes of so many rows: 32 of the
/// first half of a head and those of the second that they are turned with.
constexpr int64_t rotatedBoxRows = 64;

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
/// boxes of rotatedBoxRows, half of them of either half of a head: the
/// map's dimensions are K, rows of half a head, the two halves, and heads.
MapAttr weightMap(const LinearParams &params, int64_t argument, int64_t rows);

/// A ring of stages in shared memory, each with a tile of x, a tile of w and
/// two barriers. One thread copies into it; warpgroups multiply out of it.
class OperandRing {
public:
  OperandRing(const LinearParams &params, const LinearSchedule &schedule,
              int64_t boxRows)
      : params(params), schedule(schedule),
        inputTile{schedule.tileRows, boxRows} {}

  /// At least `least` bytes.
  void reserveStages(SharedLayout &layout, int64_t least = 0);
  void reserveBarriers(SharedLayout &layout);
  /// Before any other use in a kernel.
  void prepare(Int shared, const LinearOperands &operands);
  /// By one thread; a stage is free again after so many releases.
  void initialise(DeviceBuilder &k, int64_t releases) const;

  const InputTile &inputs() const { return inputTile; }
  int64_t stageBytes() const {
    return bytesOfX() + tileBytes(schedule.tileColumns);
  }
  /// The first stage's tiles.
  Int firstInputs() const { return shared + ring; }
  Int firstWeights() const { return shared + (ring + bytesOfX()); }

  Int full(Int stage) const { return barrier(fullOffset, stage); }
  Int empty(Int stage) const { return barrier(emptyOffset, stage); }
  /// Copies of a step: of w, with which its stage is announced, and of x.
  void copyWeights(DeviceBuilder &k, Int stage, Int step, Int column,
                   Int boxes) const;
  void copyInputs(DeviceBuilder &k, Int stage, Int step, Int row,
                  Int boxes) const;
  /// The products of steps [begin, end), at least one, out of the stages from
  /// `first` on, for so many sums of a thread; `a` and `b` describe the
  /// operands in the ring's first stage. The last step's are in flight, and its
  /// stage is not released.
  struct InFlight {
    Values sums;
    Stage next; ///< behind the last step's
    Int last;   ///< the last step's
  };
  InFlight multiply(DeviceBuilder &k, const Products &products, Long a, Long b,
                    Stage first, Int begin, Int end, int64_t sums) const;
  /// By every warp that has multiplied the stage.
  void release(DeviceBuilder &k, Int stage) const;

private:
  int64_t bytesOfX() const { return tileBytes(schedule.tileRows); }
  Int inputsOf(Int stage) const { return firstInputs() + stage * stageBytes(); }
  Int barrier(int64_t offset, Int stage) const {
    return shared + offset + (stage << 3);
  }

  const LinearParams &params;
  const LinearSchedule &schedule;
  InputTile inputTile;
  int64_t ring = 0, fullOffset = 0, emptyOffset = 0;
  Int shared;
  LinearOperands operands;
};

/// Whether a pipelined schedule can run the product at all, with its rotation.
bool canPipeline(const LinearParams &params, const LinearSchedule &schedule);
/// Whether a split schedule can.
bool canSplit(const LinearParams &params);
/// Whether the schedules for few rows can do the rotation.
bool canRotateFew(const LinearParams &params);
/// Whether a rotation is of heads whose size is a multiple of this, and stands
/// alone.
bool rotatesHeads(const LinearParams &params, int64_t multiple);

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_LINEAROPERANDS_H
