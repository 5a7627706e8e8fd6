//===- LinearEpilogue.h - from accumulators to results -----------*- C++
//-*-===//
//
// What a pipelined matrix product does with a finished tile. Every warp works
// alone: it turns its accumulators into panels of 16 rows in shared memory,
// which the copy engine takes to global memory (factors of a norm, bias,
// activation and gate on the way in registers; the residual arrives where its
// panel will be).
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_LINEAREPILOGUE_H
#define RSHARD_LIB_TARGET_CUDA_LINEAREPILOGUE_H

#include "LinearOperands.h"
#include "rshard/Target/CUDA/LinearSchedule.h"
#include <array>

namespace rshard::cuda {

/// The shape of the panels, by parameters and schedule alone.
class PanelShape {
public:
  PanelShape(const LinearParams &params, const LinearSchedule &schedule);

  static constexpr int64_t rows = 16;
  int64_t tileColumns;   ///< of the result, for one tile of w's rows
  int64_t columns;       ///< of a panel
  int64_t rowBytes;      ///< of a panel: 128 or 64, which is also its swizzle
  int64_t buffers;       ///< panels of one warp in shared memory
  int64_t panelsPerTile; ///< of one warp
  int64_t blocks;        ///< of 64 rows that a warpgroup accumulates
  /// With a rotation a thread has both columns of a pair, and a box of w's rows
  /// (rotatedBoxRows) becomes two panels.
  bool copied; ///< the copy engine can address every result; else threads store

  int64_t bytes() const { return rows * rowBytes; }
};

class LinearEpilogue {
public:
  LinearEpilogue(const LinearParams &params, const LinearSchedule &schedule)
      : params(params), shape(params, schedule), staging(schedule.staging) {}

  const PanelShape &getShape() const { return shape; }

  /// Reserves shared memory for `warps`.
  void reserve(SharedLayout &layout, int64_t warps);
  /// By one thread, before any other use.
  void initialise(DeviceBuilder &k, Int shared, int64_t warps) const;

  /// What is the same for all tiles of this warp, number `warp`.
  void prepare(DeviceBuilder &k, const LinearOperands &operands, Int shared,
               Int warp);
  /// Before the products of a tile whose part of this warp begins at `row` and
  /// `column` (of w's rows).
  void begin(DeviceBuilder &k, Int row, Int column);
  /// After them.
  void finish(DeviceBuilder &k, mlir::ValueRange accumulators);
  /// At the end of the kernel.
  void drain(DeviceBuilder &k) const { waitCopies(k, 0); }

private:
  /// Where 16 columns of this thread's matrix rows lie in a buffer.
  Int matrixAddress(int64_t buffer, int64_t pair);
  void loadResidual(DeviceBuilder &k, int64_t panel);
  /// Eight columns of the panel: this thread's two values of two rows.
  llvm::SmallVector<Float> group(DeviceBuilder &k, int64_t panel, int64_t index,
                                 mlir::ValueRange accumulators);
  /// Finds the angles of this thread's rows of the tile.
  void findAngles(DeviceBuilder &k);
  /// Turns this thread's accumulators of a box, whose first panel this is.
  void rotate(DeviceBuilder &k, int64_t panel,
              llvm::MutableArrayRef<mlir::Value> accumulators);
  /// Multiplies this thread's accumulators by the factors of their rows.
  void applyFactors(DeviceBuilder &k,
                    llvm::MutableArrayRef<mlir::Value> accumulators);
  /// Leaves the sums over a panel's columns of the squares of this thread's two
  /// rows, of which each of four threads has a part.
  void storeSquares(DeviceBuilder &k, int64_t panel,
                    std::array<Float, 2> squares);
  void writePanel(DeviceBuilder &k, int64_t panel,
                  mlir::ValueRange accumulators);
  void copyPanel(DeviceBuilder &k, int64_t panel);
  void storePanel(DeviceBuilder &k, int64_t panel);

  Int buffer(int64_t panel) {
    return first + shape.bytes() * (panel % shape.buffers);
  }
  /// Of this thread's two rows of every block, number `i`; the last one there
  /// is for those behind it, which are not written.
  Int threadRow(DeviceBuilder &k, int64_t i);
  Int panelRow(int64_t panel) { return row + 64 * (panel / perBlock()); }
  Int panelColumn(int64_t panel);
  int64_t perBlock() const { return shape.panelsPerTile / shape.blocks; }

  const LinearParams &params;
  PanelShape shape;
  int64_t staging, stagingOffset = 0, barrierOffset = 0;
  LinearOperands operands;
  Int first, barriers;                      ///< this warp's
  Int matrixRow, matrixSwizzle, matrixHalf; ///< of this thread's address
  Int row, column, resultColumn;            ///< of this tile
  /// Of this thread's two rows of every block, in the table of angles.
  llvm::SmallVector<Int, 4> angleRows;
};

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_LINEAREPILOGUE_H
