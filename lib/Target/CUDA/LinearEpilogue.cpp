//===- LinearEpilogue.cpp - from accumulators to results ------------------===//

#include "LinearEpilogue.h"
#include "Activate.h"
#include "Wgmma.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace rshard::cuda {

static int64_t bytesOf(Type element) {
  return element.getIntOrFloatBitWidth() / 8;
}

PanelShape::PanelShape(const LinearParams &params,
                       const LinearSchedule &schedule) {
  int64_t size = bytesOf(params.result);
  tileColumns = schedule.tileColumns / (params.gated ? 2 : 1);
  rowBytes = tileColumns * size % 128 == 0 && !params.rotation ? 128 : 64;
  columns = rowBytes / size;
  buffers = schedule.staging / bytes();
  blocks = schedule.tileRows / 64;
  panelsPerTile = blocks * (tileColumns / columns);
  // Rows of a tensor map are multiples of 16 bytes, and a panel goes to one
  // result.
  copied =
      llvm::all_of(params.outputs,
                   [&](int64_t width) { return width * size % 16 == 0; }) &&
      llvm::all_of(ArrayRef(params.outputs).drop_back(),
                   [&](int64_t width) { return width % columns == 0; });
}

bool canPipeline(const LinearParams &params, const LinearSchedule &schedule) {
  PanelShape shape(params, schedule);
  if (params.inputs % 8 != 0 || (params.bias && params.weightRows() % 2 != 0))
    return false;
  if (params.rotation &&
      (!rotatesHeads(params, rotatedBoxRows) || !shape.copied ||
       schedule.tileColumns % rotatedBoxRows != 0))
    return false;
  // The residual's panels look like the result's, and every buffer is used an
  // even number of times in a tile, so that phases of its barrier are known.
  return !params.residual || (params.outputs.size() == 1 && shape.copied &&
                              params.result == params.element &&
                              shape.panelsPerTile % (2 * shape.buffers) == 0);
}

void LinearEpilogue::reserve(SharedLayout &layout, int64_t warps) {
  stagingOffset = layout.reserve(warps * staging, 1024);
  if (params.residual)
    barrierOffset = layout.barriers(warps * shape.buffers);
}

void LinearEpilogue::initialise(DeviceBuilder &k, Int shared,
                                int64_t warps) const {
  if (params.residual)
    for (int64_t i = 0; i != warps * shape.buffers; ++i)
      initBarrier(k, shared + (barrierOffset + 8 * i), 1);
}

void LinearEpilogue::prepare(DeviceBuilder &k, const LinearOperands &given,
                             Int shared, Int warp) {
  operands = given;
  first = shared + stagingOffset + warp * staging;
  if (params.residual)
    barriers = shared + barrierOffset + warp * (8 * shape.buffers);
  // Row lane % 8 of matrix lane / 8: rows of 8, then halves of 16 columns.
  Int matrix = k.lane() >> 3, inMatrix = k.lane() & 7;
  matrixHalf = matrix >> 1;
  matrixRow = ((matrix & 1) * 8 + inMatrix) * shape.rowBytes;
  // 16-byte chunks of a row of 128 bytes are permuted by the row's number; of
  // 64 bytes, by that of the pair of rows.
  matrixSwizzle = shape.rowBytes == 128 ? inMatrix : inMatrix >> 1;
}

void LinearEpilogue::begin(DeviceBuilder &k, Int atRow, Int atColumn) {
  row = atRow;
  column = atColumn;
  resultColumn = params.gated ? column >> 1 : column;
  if (params.rotation)
    findAngles(k);
  if (params.residual)
    for (int64_t panel = 0; panel != shape.buffers; ++panel)
      loadResidual(k, panel);
}

Int LinearEpilogue::threadRow(DeviceBuilder &k, int64_t i) {
  return k.min(row + (k.lane() >> 2) + (i / 2 * 64 + i % 2 * 8),
               operands.rows - 1);
}

void LinearEpilogue::loadResidual(DeviceBuilder &k, int64_t panel) {
  k.when(k.lane() == 0, [&] {
    // Copies out of this buffer have read it.
    waitCopiesRead(k, panel < shape.buffers || shape.buffers == 1 ? 0 : 1);
    Int barrier = barriers + 8 * (panel % shape.buffers);
    arriveExpecting(k, barrier, shape.bytes());
    copyIn(k, buffer(panel), operands.residual, barrier,
           {panelColumn(panel), panelRow(panel)});
  });
}

Int LinearEpilogue::matrixAddress(int64_t panel, int64_t pair) {
  return buffer(panel) + matrixRow +
         (((matrixHalf + 2 * pair) ^ matrixSwizzle) << 4);
}

Int LinearEpilogue::panelColumn(int64_t panel) {
  int64_t inBlock = panel % perBlock();
  if (!params.rotation)
    return resultColumn + shape.columns * inBlock;
  int64_t size = params.rotation->headSize, boxes = size / rotatedBoxRows;
  Int box = column / rotatedBoxRows + inBlock / 2;
  return box / boxes * size + box % boxes * shape.columns +
         inBlock % 2 * (size / 2);
}

SmallVector<Float> LinearEpilogue::group(DeviceBuilder &k, int64_t panel,
                                         int64_t index,
                                         ValueRange accumulators) {
  int64_t block = panel / perBlock();
  index += panel % perBlock() * (shape.columns / 8);
  int64_t perAccumulator =
      static_cast<int64_t>(accumulators.size()) / shape.blocks;
  // The values of eight rows of w, with their bias.
  auto read = [&](int64_t source) {
    SmallVector<Float> values;
    for (int64_t i = 0; i != 4; ++i)
      values.push_back(k.asFloat(accumulators[static_cast<size_t>(
          block * perAccumulator + 4 * source + i)]));
    if (!params.bias)
      return values;
    Int at = k.min(column + (8 * source) + (k.lane() & 3) * 2,
                   k.integer(params.weightRows() - 2));
    // Not as a constant: it would be loaded for all panels at once, into more
    // registers than there are.
    Value pair = k.load(VectorType::get({2}, k.f32()),
                        k.at(operands.bias, k.widen(at), k.f32()));
    for (int64_t i = 0; i != 4; ++i)
      values[static_cast<size_t>(i)] =
          values[static_cast<size_t>(i)] + k.asFloat(k.extract(pair, i % 2));
    return values;
  };
  SmallVector<Float> values = read(params.gated ? 2 * index : index), up;
  if (params.gated)
    up = read(2 * index + 1);
  for (auto [i, value] : llvm::enumerate(values))
    value = activateGated(k, params.activation, value,
                          params.gated ? std::optional(up[i]) : std::nullopt);
  return values;
}

void LinearEpilogue::writePanel(DeviceBuilder &k, int64_t panel,
                                ValueRange accumulators) {
  if (params.result.isF32()) {
    // Two neighbouring values of rows lane / 4 and 8 more.
    Int inRow = k.lane() >> 2;
    Int half = (k.lane() & 1) * 8, chunk = (k.lane() & 3) >> 1;
    for (int64_t index = 0; index != shape.columns / 8; ++index) {
      SmallVector<Float> values = group(k, panel, index, accumulators);
      for (int64_t i = 0; i != 2; ++i) {
        Int at = buffer(panel) + (inRow + 8 * i) * shape.rowBytes +
                 (((chunk + 2 * index) ^ inRow) << 4) + half;
        k.storeShared(k.combine({values[static_cast<size_t>(2 * i)],
                                 values[static_cast<size_t>(2 * i + 1)]}),
                      at);
      }
    }
    return;
  }
  std::array<Float, 2> squares;
  if (params.sumsSquares)
    squares.fill(k.constant(0.0));
  for (int64_t pair = 0; pair != shape.columns / 16; ++pair) {
    SmallVector<Float> values = group(k, panel, 2 * pair, accumulators);
    values.append(group(k, panel, 2 * pair + 1, accumulators));
    Int address = matrixAddress(panel, pair);
    if (params.residual)
      for (auto [i, packed] : llvm::enumerate(loadMatrices(k, address))) {
        auto [low, high] = k.unpack(packed, params.element);
        values[2 * i] = values[2 * i] + low;
        values[2 * i + 1] = values[2 * i + 1] + high;
      }
    SmallVector<Int> packed;
    if (params.sumsSquares)
      for (auto [i, value] : llvm::enumerate(values))
        squares[i / 2 % 2] = k.fma(value, value, squares[i / 2 % 2]);
    for (size_t i = 0; i != 8; i += 2)
      packed.push_back(k.pack(values[i], values[i + 1], params.result));
    storeMatrices(k, address, packed);
  }
  if (params.sumsSquares)
    storeSquares(k, panel, squares);
}

void LinearEpilogue::copyPanel(DeviceBuilder &k, int64_t panel) {
  fenceCopies(k);
  k.syncWarp();
  Int at = panelColumn(panel);
  auto copy = [&](size_t result, Int from) {
    copyOut(k, operands.results[result], buffer(panel),
            {from, panelRow(panel)});
  };
  k.when(k.lane() == 0, [&] {
    int64_t begin = 0;
    for (auto [i, width] : llvm::enumerate(params.outputs)) {
      if (params.outputs.size() == 1) {
        copy(0, at);
        break;
      }
      Bool inside = at < begin + width;
      if (begin != 0)
        inside = inside & (at > begin - 1);
      k.when(inside, [&] { copy(i, at - begin); });
      begin += width;
    }
    commitCopies(k);
  });
}

void LinearEpilogue::storePanel(DeviceBuilder &k, int64_t panel) {
  // Element by element: results whose rows the copy engine cannot address are
  // small, or rare.
  k.syncWarp();
  int64_t size = bytesOf(params.result);
  Int base = buffer(panel), atRow = panelRow(panel), at = panelColumn(panel);
  k.loop(k.lane(), k.integer(PanelShape::rows * shape.columns), k.integer(32),
         [&](Int i) {
           Int inRow = i / shape.columns, inColumn = i % shape.columns;
           Int byte = inColumn * size;
           Int swizzle = shape.rowBytes == 128 ? inRow & 7 : (inRow >> 1) & 3;
           Value value =
               k.loadShared(params.result, base + inRow * shape.rowBytes +
                                               (byte ^ (swizzle << 4)));
           Int toRow = atRow + inRow, to = at + inColumn;
           int64_t begin = 0;
           for (auto [o, width] : llvm::enumerate(params.outputs)) {
             Bool inside = (toRow < operands.rows) & (to < begin + width);
             if (begin != 0)
               inside = inside & (to > begin - 1);
             k.when(inside, [&] {
               Global result = k.asGlobal(operands.results[o]);
               Long offset = k.widen(toRow) * width + k.widen(to - begin);
               k.store(value, k.at(result, offset, params.result));
             });
             begin += width;
           }
         });
  k.syncWarp();
}

void LinearEpilogue::finish(DeviceBuilder &k, ValueRange accumulators) {
  Values sums(accumulators);
  if (params.factorsGiven)
    applyFactors(k, sums);
  for (int64_t panel = 0; panel != shape.panelsPerTile; ++panel) {
    if (params.rotation && panel % 2 == 0)
      rotate(k, panel, sums);
    if (params.residual) {
      waitBarrier(k, barriers + 8 * (panel % shape.buffers),
                  k.integer(panel / shape.buffers % 2));
    } else if (shape.copied) {
      waitCopiesRead(k, shape.buffers - 1);
      k.syncWarp();
    }
    writePanel(k, panel, sums);
    if (shape.copied)
      copyPanel(k, panel);
    else
      storePanel(k, panel);
    int64_t next = panel + std::max<int64_t>(shape.buffers - 1, 1);
    if (params.residual && next >= shape.buffers && next < shape.panelsPerTile)
      loadResidual(k, next);
  }
}

} // namespace rshard::cuda
