//===- PartialAttention.cpp - a block and its roles -----------------------===//

#include "PartialAttention.h"
#include "ComputeCapability.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace rshard::cuda {

static PartialAttentionShape::Tiling tilingFor(int64_t headSize) {
  // Exponentials bound narrow heads: with three warpgroups there is always one
  // that takes them.
  if (headSize <= 64)
    return {3, 128, 4, 2};
  if (headSize <= 128)
    return {2, 128, 2, 2};
  return {2, 64, 2, 1};
}

PartialAttentionShape::PartialAttentionShape(const AttentionParams &params)
    : tiling(tilingFor(params.headSize)), headSize(params.headSize),
      rows(tiling.warpgroups * warpgroupRows),
      threads(warpgroupThreads * (tiling.warpgroups + 1)),
      panels(llvm::divideCeil(headSize, panelColumns)),
      tileBytes(tiling.keys * rowBytes * panels),
      queryBytes(rows * rowBytes * panels) {
  queries = layout.reserve(queryBytes * tiling.queryStages, 1024);
  keys = layout.reserve(tileBytes * tiling.stages, 1024);
  values = layout.reserve(tileBytes * tiling.stages, 1024);
  queriesFull = layout.barriers(tiling.queryStages);
  queriesEmpty = layout.barriers(tiling.queryStages);
  keysFull = layout.barriers(tiling.stages);
  keysEmpty = layout.barriers(tiling.stages);
  valuesFull = layout.barriers(tiling.stages);
  valuesEmpty = layout.barriers(tiling.stages);
  tileFull = layout.barriers(1);
  tileEmpty = layout.barriers(1);
  tile = layout.reserve(4 * (ofWarpgroup + wordsEach * tiling.warpgroups));
  resultColumns = rowBytes / (params.result.isF32() ? 4 : 2);
  resultPanels = llvm::divideCeil(headSize, resultColumns);
  int64_t rest = resultPanels - panels;
  int64_t restBytes = tiling.warpgroups * rest * warpgroupRows * rowBytes;
  if (rest > 0 && layout.getSize() + restBytes + 1024 <= maxShared) {
    results = layout.reserve(restBytes, 1024);
    extraPanels = rest;
  }
}

PartialAttention::PartialAttention(DeviceBuilder &k,
                                   const AttentionParams &params,
                                   const PartialAttentionShape &shape,
                                   ValueRange in)
    : k(k), params(params), shape(shape), tiling(shape.tiling), mapQ(in[0]),
      mapK(in[1]), mapV(in[2]), mapO(in[3]), first(k.asGlobal(in[4])),
      last(k.asGlobal(in[5])), output(k.asGlobal(in[6])),
      lse(k.asGlobal(in[7])), counter(k.asGlobal(in[8])), rows(k.asInt(in[9])),
      keyRows(k.asInt(in[10])), continues(k.asInt(in[11])), units(params) {
  scores.columns = tiling.keys;
  scores.element = params.element;
  for (int64_t step = 0; step != (shape.headSize + 15) / 16; ++step) {
    int64_t inPanel = step % 4 * 2, panel = step / 4;
    scores.steps.push_back(
        {inPanel + panel * (Shape::warpgroupRows * Shape::rowBytes >> 4),
         inPanel + panel * (tiling.keys * Shape::rowBytes >> 4), 0});
  }
  weighted.columns = shape.headSize;
  weighted.element = params.element;
  weighted.transposeB = true;
  for (int64_t step = 0; step != tiling.keys / 16; ++step)
    weighted.steps.push_back({0, step * (16 * Shape::rowBytes >> 4), 0});
}

void PartialAttention::initBarriers() {
  int64_t warps = 4 * tiling.warpgroups;
  auto init = [&](int64_t offset, int64_t count, int64_t arrivals) {
    for (int64_t i = 0; i != count; ++i)
      initBarrier(k, shared(offset + 8 * i), arrivals);
  };
  init(shape.queriesFull, tiling.queryStages, 1);
  init(shape.queriesEmpty, tiling.queryStages, warps);
  init(shape.keysFull, tiling.stages, 1);
  init(shape.keysEmpty, tiling.stages, warps);
  init(shape.valuesFull, tiling.stages, 1);
  init(shape.valuesEmpty, tiling.stages, warps);
  init(shape.tileFull, 1, 1);
  // Every lane that reads the description arrives, and the copying thread.
  init(shape.tileEmpty, 1, 32 * warps + 1);
  fenceBarrierInit(k);
}

Stage PartialAttention::stageOf(Int step) {
  return {step & (tiling.stages - 1),
          (step >> llvm::Log2_64(static_cast<uint64_t>(tiling.stages))) & 1};
}

Int PartialAttention::word(int64_t index) {
  return k.asInt(k.loadShared(k.i32(), shared(shape.tile + 4 * index)));
}

SmallVector<Float> PartialAttention::floats(ValueRange values) {
  return llvm::map_to_vector(values,
                             [&](Value value) { return k.asFloat(value); });
}

void PartialAttention::arriveOnce(Int barrier) {
  k.when(lane0, [&] { arrive(k, barrier); });
}

void PartialAttention::build() {
  base = k.sharedMemory();
  warp = k.warp();
  lane = k.lane();
  lane0 = lane == 0;
  k.when(k.thread() == 0, [&] { initBarriers(); });
  k.syncBlock();
  k.when((warp >> 2) == 0,
         [&] {
           setRegisters(k, 24, /*increase=*/false);
           k.when((warp == 0) & k.elect(), [&] { copy(); });
           k.when((warp == 1) & k.elect(), [&] { hand(); });
         },
         [&] {
           setRegisters(k, tiling.warpgroups == 3 ? 160 : 240,
                        /*increase=*/true);
           consume();
         });
}

SymbolRefAttr KernelLibrary::partialAttention(const AttentionParams &params) {
  PartialAttentionShape shape(params);
  int64_t heads = params.queryHeads, columns = params.headSize;
  auto map = [&](int64_t argument, Type element, int64_t ofHeads,
                 ArrayRef<int64_t> box) -> Attribute {
    int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    return MapAttr::get(
        module.getContext(), argument, element,
        {size(columns), size(ofHeads), size(1, argument)},
        {size(columns * bytes), size(ofHeads * columns * bytes)}, box,
        /*swizzle=*/128);
  };
  Launch launch;
  launch.threads = shape.threads;
  launch.shared = shape.layout.getSize();
  launch.blocks = heads;
  launch.resident = 1;
  launch.overlap = Overlap::AtTheEnd;
  launch.grid = {blocksOf(0, shape.rows)};
  int64_t keys = shape.tiling.keys;
  launch.parameters = {
      map(0, params.element, heads,
          {shape.panelColumns, 1, shape.warpgroupRows}),
      map(1, params.element, params.keyHeads, {shape.panelColumns, 1, keys}),
      map(2, params.element, params.keyHeads, {shape.panelColumns, 1, keys}),
      map(5, params.result, heads, {shape.resultColumns, 1, 16}),
      pointer(3),
      pointer(4),
      pointer(5),
      pointer(6),
      pointer(8),
      rows(0),
      rows(1),
      scalar(9)};
  return define(attentionName("attention", params), launch,
                [&](DeviceBuilder &k, ValueRange in) {
                  PartialAttention(k, params, shape, in).build();
                });
}

} // namespace rshard::cuda
