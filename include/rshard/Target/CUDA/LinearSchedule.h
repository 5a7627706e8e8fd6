//===- LinearSchedule.h - how a matrix product runs on Hopper ----*- C++
//-*-===//
//
// Which of a few schedules runs y = x w^T, by the shape alone. No schedule is
// the best one everywhere: tiles that fill every wave of the multiprocessors,
// epilogues that hide, and operands that stay in the L2 cache pull in different
// directions.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TARGET_CUDA_LINEARSCHEDULE_H
#define RSHARD_TARGET_CUDA_LINEARSCHEDULE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>

namespace rshard::cuda {

struct LinearSchedule {
  enum class Kind {
    /// No pipeline: every weight goes straight to registers, once. For few
    /// rows, or rows that the copy engine cannot address.
    Small,
    /// The tensor cores take w's rows as the wide operand and those of x, some
    /// dozens, as the other; K is split over the blocks of a cluster.
    Split,
    /// Each of two warpgroups has its own tile; the epilogue of one runs under
    /// the products of the other.
    PingPong
  };
  llvm::StringRef name;
  Kind kind = Kind::Small;
  int64_t tileRows = 0;    ///< of the result: what a block, or with PingPong a
                           ///< warpgroup, computes at once; with Split a
                           ///< multiple of 8, at most 256
  int64_t tileColumns = 0; ///< of w's rows
  int64_t stages = 0;      ///< of the ring of operands
  int64_t staging = 0;     ///< bytes for each warp's results on their way out
  int64_t bandRows = 0;    ///< the order of tiles, see TileOrder
  int64_t stripColumns = 0;

  bool isForManyRows() const { return kind == Kind::PingPong; }
};

/// All of them, those for few rows first.
llvm::ArrayRef<LinearSchedule> linearSchedules();
/// The one of this name, or null.
const LinearSchedule *findLinearSchedule(llvm::StringRef name);

/// What the choice depends on. The defaults are those of an H100.
struct DeviceShape {
  int64_t multiprocessors = 132;
};

/// The time of a pipelined schedule for x[rows, inputs] and w[columns, inputs]
/// of 2-byte elements, in no particular unit: multiprocessors wait for the
/// last wave, tiles are computed whole, and small tiles read a little more.
/// Fitted to measurements; docs/cuda-target.md has them.
double linearCost(const LinearSchedule &schedule, int64_t rows, int64_t columns,
                  int64_t inputs, const DeviceShape &device);

/// The schedule for up to `rows` rows.
struct LinearChoice {
  int64_t rows = 0;
  const LinearSchedule *schedule = nullptr;
};
/// Split schedules take up to 64 rows, and up to 256 while tiles of 128 x 128
/// would leave at least half of the multiprocessors idle (fitted, like the
/// cost).
///
/// In ascending order of rows; the last one takes any number. There are few: a
/// schedule is kept over more rows as long as another one would gain little.
llvm::SmallVector<LinearChoice>
chooseLinearSchedules(int64_t columns, int64_t inputs,
                      const DeviceShape &device = {});

} // namespace rshard::cuda

#endif // RSHARD_TARGET_CUDA_LINEARSCHEDULE_H
