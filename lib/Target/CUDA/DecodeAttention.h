//===- DecodeAttention.h - attention of a few rows to many keys --*- C++
//-*-===//
//
// Bounded by how fast keys and values arrive. The keys are dealt to the warps
// of as many blocks as a device can run at once, 16 at a time. The heads of
// several rows that share a key head are the queries of a block, 8 or 16 of
// them, so that they share what arrives: S^T = K Q^T and O^T += V^T P^T by
// mma.sync, whose left operands come straight from global memory into
// registers. That works because a product may take its columns in any order and
// a result may have its rows in any order: a thread loads 16 bytes of a row and
// uses them as the parts that the instruction gives to it.
//
// Warps merge in shared memory, blocks in the last one that is done, both in
// the order of their numbers, so that bits depend on nothing else. How the keys
// are split is decided here, from their number: the launch is the same for
// every length of the cache.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_DECODEATTENTION_H
#define RSHARD_LIB_TARGET_CUDA_DECODEATTENTION_H

#include "AsyncCopy.h"
#include "Attention.h"
#include <cmath>
#include <optional>

namespace rshard::cuda {

/// How queries become blocks.
struct DecodeAttentionShape {
  static constexpr int64_t warps = 8, threads = 32 * warps;
  static constexpr int64_t stepKeys = 16; ///< that a warp takes at once
  /// Columns of a head up to which a thread has registers to spare.
  static constexpr int64_t narrow = 128;

  DecodeAttentionShape(const AttentionParams &params, int64_t tiles,
                       int64_t mostRows);

  int64_t tiles;   ///< of 8 queries
  int64_t queries; ///< of a block: heads of rows
  int64_t headSize;
  int64_t group;         ///< query heads that share a key head
  int64_t headsPerBlock; ///< of a row
  int64_t parts;         ///< blocks that a group needs
  int64_t rowsPerBlock;
  int64_t rowBlocks; ///< of the most rows
  int64_t splits;    ///< of the keys of a head, at most
  int64_t chunks;    ///< of 32 columns: accesses to a key
  int64_t panels;    ///< of 64 columns: accesses to a value
  int64_t sumStride; ///< bytes of a query's sums in shared memory
  int64_t stats, sums, flag;
  SharedLayout layout;
  /// Floats of a block in `partials`: greatest score and sum of every query,
  /// then the weighted values.
  int64_t partialSize() const { return queries * (headSize + 2); }
};

/// The weighted values of a query in some columns, the sum of the weights, and
/// the score that the weights are relative to.
struct Sums {
  Float most, sum;
  llvm::SmallVector<Float> values;
};

class DecodeAttention {
public:
  DecodeAttention(DeviceBuilder &k, const AttentionParams &params,
                  const DecodeAttentionShape &shape, mlir::ValueRange in)
      : k(k), params(params), shape(shape), units(params),
        queries(k.asGlobal(in[0])), keys(k.asGlobal(in[1])),
        values(k.asGlobal(in[2])), first(k.asGlobal(in[3])),
        last(k.asGlobal(in[4])), output(k.asGlobal(in[5])),
        lse(k.asGlobal(in[6])), partials(k.asGlobal(in[7])),
        counters(k.asGlobal(in[8])), source(k.asGlobal(in[9])),
        rows(k.asInt(in[10])), continues(k.asInt(in[11])),
        nothing(k.constant(-INFINITY)), zero(k.constant(0)) {}

  void build();

private:
  using Shape = DecodeAttentionShape;

  /// A query of the block.
  struct Query {
    Int row, head;
    Bool exists;
  };
  Query queryOf(Int index);
  /// This thread's share of the block's results: 4 columns of some queries.
  struct Item {
    Query query;
    Int index, column; ///< of the query in the block, of the result
  };
  llvm::SmallVector<Item> items();

  void loadQueries();
  void loadRow(Values &registers, Global from, Int key, Int column,
               int64_t stride, int64_t accesses);
  Values loadKeys(Int step);
  Values loadValues(Int step);
  Values attend();
  Values attendStep(Int step, Values &keyRegisters, Values &valueRegisters,
                    mlir::ValueRange state, std::optional<Int> next);
  void share(mlir::ValueRange state);
  Sums merge(llvm::ArrayRef<Sums> parts);
  llvm::SmallVector<Sums> mergeWarps(llvm::ArrayRef<Item> items);
  void leave(llvm::ArrayRef<Item> items, llvm::ArrayRef<Sums> sums);
  Bool isLast();
  llvm::SmallVector<Sums> mergeBlocks(llvm::ArrayRef<Item> items);
  void finish(llvm::ArrayRef<Item> items, llvm::ArrayRef<Sums> sums);

  /// Where the blocks that share these queries leave their sums: so many f32
  /// behind one another, the greatest score and the sum of every query first.
  Global statsOf(Int query) {
    return k.at(partials,
                k.widen(unit * splits * shape.partialSize() + (query << 1)),
                k.f32());
  }
  Global valuesOf(Int query, Int column) {
    return k.at(statsOf(k.integer(shape.queries)),
                k.widen(query * shape.headSize + column), k.f32());
  }
  Long placeOf(Int block) { return k.widen(block * shape.partialSize()); }

  DeviceBuilder &k;
  const AttentionParams &params;
  const Shape &shape;
  ScoreUnits units;
  Global queries, keys, values, first, last, output, lse, partials, counters,
      source;
  Int rows, continues;
  Float nothing, zero;

  Int base, thread, lane, warp;
  Int quad, member;             ///< lane / 4 and lane % 4
  Int keyHead, part, row;       ///< what the block's queries are
  Int unit;                     ///< their number
  Int splits, active, block;    ///< blocks that share them, that have
                                ///< keys, and this one's number
  Int low, high;                ///< the keys that they see
  Int firstStep, stride, steps; ///< of this warp: firstStep + stride * i
  llvm::SmallVector<Int> queryRegisters; ///< 4 for every chunk of every tile
  /// Of this thread's 2 queries of a tile.
  llvm::SmallVector<Bool> exists;
  llvm::SmallVector<Int> seenFrom, seenTo;
};

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_DECODEATTENTION_H
