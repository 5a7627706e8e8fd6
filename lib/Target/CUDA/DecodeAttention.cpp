//===- DecodeAttention.cpp - a block and its queries ----------------------===//

#include "DecodeAttention.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace rshard::cuda {

/// Into how many blocks a launch splits the keys of all heads: about one for
/// each multiprocessor of an H100, but the same on every device (C9).
constexpr int64_t splitBlocks = 132;
/// The most rows for which this kernel is meant.
constexpr int64_t decodeRows = 16;

DecodeAttentionShape::DecodeAttentionShape(const AttentionParams &params,
                                           int64_t tiles, int64_t mostRows)
    : tiles(tiles), queries(8 * tiles), headSize(params.headSize),
      group(params.queryHeads / params.keyHeads),
      headsPerBlock(std::min(group, queries)),
      parts(llvm::divideCeil(group, headsPerBlock)),
      rowsPerBlock(std::max<int64_t>(1, queries / group)),
      rowBlocks(llvm::divideCeil(mostRows, rowsPerBlock)),
      splits(std::max<int64_t>(1, splitBlocks / (params.keyHeads * parts))),
      chunks(llvm::divideCeil(headSize, 32)),
      panels(llvm::divideCeil(headSize, 64)), sumStride(4 * (headSize + 4)) {
  stats = layout.reserve(warps * queries * 8);
  sums = layout.reserve(warps * queries * sumStride);
  flag = layout.reserve(4);
}

void DecodeAttention::build() {
  base = k.sharedMemory();
  thread = k.thread();
  lane = k.lane();
  warp = k.warp();
  quad = lane >> 2;
  member = lane & 3;

  // Blocks that run at the same time have the heads of the same keys.
  Int rowBlocks =
      shape.rowBlocks == 1 ? k.integer(1) : k.ceilDiv(rows, shape.rowsPerBlock);
  Int number = k.block();
  block = number / (params.keyHeads * shape.parts);
  Int rest = number - block * (params.keyHeads * shape.parts);
  Int rowBlock = block - block / rowBlocks * rowBlocks;
  block = block / rowBlocks;
  part = rest / params.keyHeads;
  keyHead = rest - part * params.keyHeads;
  row = rowBlock * shape.rowsPerBlock;
  unit = rowBlock * (params.keyHeads * shape.parts) + rest;

  Int lastRow = k.min(row + shape.rowsPerBlock, rows) - 1;
  low = k.loadInt(first, row);
  high = k.loadInt(last, lastRow);
  loadQueries();

  Int all = k.ceilDiv(k.max(high - low, k.integer(0)), Shape::stepKeys);
  Int one = k.integer(1);
  splits = k.max(k.integer(shape.splits) / rowBlocks, one);
  // A block has a step for each of its warps, or is not needed.
  active = k.max(k.min(splits, k.ceilDiv(all, Shape::warps)), one);
  firstStep = block * Shape::warps + warp;
  stride = splits * Shape::warps;
  steps = (k.max(all - firstStep, k.integer(0)) + stride - 1) / stride;
  k.when(block < active, [&] {
    share(attend());
    k.syncBlock();
    SmallVector<Item> mine = items();
    SmallVector<Sums> sums = mergeWarps(mine);
    k.when(
        active == 1, [&] { finish(mine, sums); },
        [&] {
          leave(mine, sums);
          k.when(isLast(), [&] { finish(mine, mergeBlocks(mine)); });
        });
  });
}

/// Tiles of queries of the variants, and the most rows of each.
static SmallVector<std::pair<int64_t, int64_t>>
decodeVariants(const AttentionParams &params) {
  int64_t group = params.queryHeads / params.keyHeads;
  // Two tiles of wide heads do not fit in the registers.
  if (params.headSize > DecodeAttentionShape::narrow)
    return {{1, decodeRows}};
  if (group > 8)
    return {{2, decodeRows}};
  return {{1, 8 / group}, {2, decodeRows}};
}

AttentionScratch attentionScratch(const AttentionParams &params) {
  AttentionScratch scratch{0, 1};
  for (auto [tiles, rows] : decodeVariants(params)) {
    DecodeAttentionShape shape(params, tiles, rows);
    int64_t heads = params.keyHeads * shape.parts;
    scratch.partials =
        std::max(scratch.partials, heads * shape.splits * shape.partialSize());
    scratch.counters = std::max(scratch.counters, heads * shape.rowBlocks);
  }
  return scratch;
}

SmallVector<KernelLibrary::Variant>
KernelLibrary::decodeAttention(const AttentionParams &params) {
  SmallVector<Variant> out;
  for (auto [tiles, most] : decodeVariants(params)) {
    DecodeAttentionShape shape(params, tiles, most);
    Launch launch;
    launch.threads = shape.threads;
    launch.shared = shape.layout.getSize();
    launch.blocks = params.keyHeads * shape.parts * shape.splits;
    launch.grid = {blocksOf(0, shape.rowsPerBlock)};
    launch.overlap = Overlap::AtOnce;
    for (int64_t argument : {10, 1, 2, 3, 4, 5, 6, 7, 8, 11})
      launch.parameters.push_back(pointer(argument));
    launch.parameters.push_back(rows(0));
    launch.parameters.push_back(scalar(9));
    out.push_back({most, define(attentionName("decode_attention_" +
                                                  std::to_string(8 * tiles),
                                              params),
                                launch, [&](DeviceBuilder &k, ValueRange in) {
                                  DecodeAttention(k, params, shape, in).build();
                                })});
  }
  return out;
}

} // namespace rshard::cuda
