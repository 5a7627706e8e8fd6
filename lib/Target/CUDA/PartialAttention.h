//===- PartialAttention.h - attention of any number of rows ------*- C++
//-*-===//
//
// A persistent block takes tiles of rows of one head. One warpgroup copies: a
// warp brings queries, keys and values, a thread of another hands out the tiles
// and says which keys each of them needs. The other warpgroups compute 64 rows
// each: S = Q K^T, P = exp(S - max), O = O * rescale + P V, tile of keys by
// tile of keys. While one of them takes exponentials another one has the tensor
// cores (named barriers hand them over), and the product with the next keys is
// in flight meanwhile.
//
// first and last say all about masks: tiles of keys that no row of a warpgroup
// sees are skipped, those that all rows see are not masked. Keys are visited
// from the last to the first, so that the tiles on a causal diagonal come first
// and the loop behind them is the unmasked one.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_PARTIALATTENTION_H
#define RSHARD_LIB_TARGET_CUDA_PARTIALATTENTION_H

#include "AsyncCopy.h"
#include "Attention.h"
#include "Wgmma.h"
#include <array>

namespace rshard::cuda {

/// What the kernel of some parameters occupies.
struct PartialAttentionShape {
  static constexpr int64_t warpgroupRows = 64, warpgroupThreads = 128;
  static constexpr int64_t rowBytes = 128;    ///< of a panel in shared memory
  static constexpr int64_t panelColumns = 64; ///< of 16-bit values

  /// How a block cuts up its work.
  struct Tiling {
    int64_t warpgroups;  ///< that compute
    int64_t keys;        ///< in a tile
    int64_t stages;      ///< tiles of keys, and of values; a power of two
    int64_t queryStages; ///< 1 or 2
  };

  /// Words of the description of a tile in shared memory. The last four are
  /// there for every warpgroup: how many tiles of keys it skips first, how many
  /// it sees then, and which of those are not masked: [masked, unmaskedEnd).
  enum Word : int64_t {
    valid,
    tiles,
    top, ///< number of the first tile of keys to visit: they descend
    firstRow,
    head,
    ofWarpgroup
  };
  enum WarpgroupWord : int64_t {
    skipped,
    seen,
    masked,
    unmaskedEnd,
    wordsEach
  };

  explicit PartialAttentionShape(const AttentionParams &params);

  Tiling tiling;
  int64_t headSize;
  int64_t rows;    ///< of a block's tile
  int64_t threads; ///< of a block
  int64_t panels;  ///< of 64 columns, that a head is padded to
  int64_t tileBytes, queryBytes;
  // Offsets in shared memory.
  int64_t queries, keys, values;
  int64_t queriesFull, queriesEmpty, keysFull, keysEmpty, valuesFull,
      valuesEmpty, tileFull, tileEmpty, tile;
  // Results leave through the place of their queries. Those of f32 need twice
  // that: the rest goes beside it if there is room, else they go in turns.
  int64_t resultColumns; ///< of a panel of results
  int64_t resultPanels;
  int64_t extraPanels = 0; ///< that lie beside
  int64_t results = 0;     ///< where those lie
  SharedLayout layout;
};

class PartialAttention {
public:
  PartialAttention(DeviceBuilder &k, const AttentionParams &params,
                   const PartialAttentionShape &shape, mlir::ValueRange in);

  void build();

private:
  using Shape = PartialAttentionShape;
  using enum Shape::Word;
  using enum Shape::WarpgroupWord;

  /// The rows lane / 4 and lane / 4 + 8 of a warp: the greatest score so far,
  /// and this thread's share of the sum of exponentials.
  struct RowState {
    std::array<Float, 2> most, sum;
  };

  /// A tile of rows, as a warpgroup sees it.
  struct Tile {
    Int row; ///< the first one of the warpgroup
    Int head;
    std::array<Int, 2> first, last; ///< of this thread's rows
    Int queries;                    ///< where they are in shared memory
    Long queriesAt;                 ///< their descriptor
    Int top, seen;
    Int steps; ///< tiles of keys that the block has taken before this one's
               ///< first
  };

  // Shared memory and barriers.
  Int shared(int64_t offset) { return base + offset; }
  Int barrier(int64_t offset, Int index) {
    return base + offset + (index << 3);
  }
  void initBarriers();
  Stage stageOf(Int step);
  void arriveOnce(Int barrier); ///< one arrival for the warp
  llvm::SmallVector<Float> floats(mlir::ValueRange values);

  // The producer.
  void hand();
  void copy();
  Int word(int64_t index);

  // The consumers.
  void consume();
  void compute(Tile tile, Int skippedTiles, Int allTiles, Int maskedTiles,
               Int unmaskedTiles, Int queryStage);
  void skip(Int from, Int to);
  Values attend(const Tile &tile, Int maskedTiles, Int unmaskedTiles);
  llvm::SmallVector<Float> mask(const Tile &tile, Int tileOfKeys,
                                llvm::ArrayRef<Float> scores);
  struct Exponentials {
    llvm::SmallVector<Float> values;
    RowState state;
    std::array<Float, 2> rescale; ///< of what was summed before
  };
  Exponentials exponentials(llvm::ArrayRef<Float> scores,
                            const RowState *before, bool masked);
  Values pack(llvm::ArrayRef<Float> values);
  void finish(const Tile &tile, mlir::ValueRange attended, Int queryStage);
  Values merge(const Tile &tile, llvm::ArrayRef<Float> values,
               std::array<Float, 2> inverse, std::array<Float, 2> natural);
  void stage(Int panel, int64_t index, llvm::ArrayRef<Float> values);

  DeviceBuilder &k;
  const AttentionParams &params;
  const Shape &shape;
  const Shape::Tiling &tiling;
  mlir::Value mapQ, mapK, mapV, mapO;
  Global first, last, output, lse, counter;
  Int rows, keyRows, continues;
  Products scores, weighted;
  ScoreUnits units;

  Int base, warp, lane;
  Bool lane0;
  // Of a consumer.
  Int warpgroup, warpOfGroup, turn, nextTurn;
  Int column;      ///< this thread's first one of every 8
  Int queriesBase; ///< of the warpgroup, in the first stage
  Long queriesAt, keysAt, valuesAt;
};

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_PARTIALATTENTION_H
