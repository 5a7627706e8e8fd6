//===- LinearOperands.cpp - what kernels of matrix products take ----------===//

#include "LinearOperands.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

using namespace mlir;

namespace rshard::cuda {

/// Of tiles.
constexpr int64_t tileSwizzle = tileBytes(1);

LinearOperands::LinearOperands(DeviceBuilder &k, const LinearParams &params,
                               ValueRange parameters) {
  auto next = parameters.begin();
  x = *next++;
  w = *next++;
  if (params.bias)
    bias = k.asGlobal(*next++);
  if (params.residual)
    residual = *next++;
  if (params.rotation) {
    positions = k.asGlobal(*next++);
    angles = k.asGlobal(*next++);
  }
  for (size_t i = 0; i != params.outputs.size(); ++i)
    results.push_back(*next++);
  if (params.factorsGiven)
    factors = k.asGlobal(*next++);
  if (params.sumsSquares)
    squares = k.asGlobal(*next++);
  if (params.partial)
    source = k.asGlobal(*next++);
  rows = k.asInt(*next);
}

int64_t LinearOperands::input(const LinearParams &params) {
  return params.normEpsilon || params.partial || params.factorsGiven
             ? arguments(params)
             : 0;
}

int64_t LinearOperands::arguments(const LinearParams &params) {
  return 2 + (params.bias ? 1 : 0) + (params.residual ? 1 : 0) +
         (params.rotation ? 2 : 0) +
         static_cast<int64_t>(params.outputs.size());
}

int64_t LinearOperands::argumentOfFactors(const LinearParams &params) {
  return input(params) + 1;
}

int64_t LinearOperands::argumentOfSquares(const LinearParams &params) {
  return params.factorsGiven ? argumentOfFactors(params) + 1
                             : arguments(params);
}

bool rotatesHeads(const LinearParams &params, int64_t multiple) {
  int64_t size = params.rotation->headSize;
  return size % multiple == 0 && params.result == params.element &&
         !params.bias && !params.activation && !params.gated &&
         !params.residual && llvm::all_of(params.outputs, [&](int64_t width) {
           return width % size == 0;
         });
}

MapAttr matrixMap(Type element, int64_t argument, int64_t width,
                  std::optional<int64_t> rows, std::array<int64_t, 2> box,
                  int64_t swizzle) {
  MLIRContext *context = element.getContext();
  auto size = [&](int64_t factor, int64_t argument = -1) {
    return SizeAttr::get(context, factor, argument);
  };
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  return MapAttr::get(context, argument, element,
                      {size(width), rows ? size(*rows) : size(1, argument)},
                      {size(width * bytes)}, box, swizzle);
}

MapAttr InputTile::map(const LinearParams &params, int64_t argument) const {
  return matrixMap(params.element, argument, params.inputs, std::nullopt,
                   {tileDepth, boxRows}, tileSwizzle);
}

Int InputTile::boxes(Int left) const {
  DeviceBuilder &k = left.builder();
  return k.min(k.ceilDiv(left, boxRows), k.integer(rows / boxRows));
}

void InputTile::copy(DeviceBuilder &k, Value map, Int boxes, Int destination,
                     Int barrier, std::array<Int, 2> at) const {
  auto [from, row] = at;
  for (int64_t i = 0; i != rows / boxRows; ++i)
    k.when(boxes > i, [&, from = from, row = row] {
      copyIn(k, destination + i * tileBytes(boxRows), map, barrier,
             {from, row + i * boxRows});
    });
}

MapAttr weightMap(const LinearParams &params, int64_t argument, int64_t rows) {
  if (!params.rotation)
    return matrixMap(params.element, argument, params.inputs,
                     params.weightRows(), {tileDepth, rows}, tileSwizzle);
  MLIRContext *context = params.element.getContext();
  auto size = [&](int64_t factor) {
    return SizeAttr::get(context, factor, -1);
  };
  int64_t head = params.rotation->headSize, bytes = params.inputs * 2;
  return MapAttr::get(context, argument, params.element,
                      {size(params.inputs), size(head / 2), size(2),
                       size(params.weightRows() / head)},
                      {size(bytes), size(head / 2 * bytes), size(head * bytes)},
                      {tileDepth, rotatedBoxRows / 2, 2, 1}, tileSwizzle);
}

static void copyWeightTile(DeviceBuilder &k, const LinearParams &params,
                           Value map, int64_t rows, Int destination,
                           Int barrier, std::array<Int, 2> at) {
  auto [from, row] = at;
  if (!params.rotation) {
    copyIn(k, destination, map, barrier, {from, row});
    return;
  }
  int64_t boxes = params.rotation->headSize / rotatedBoxRows; // of a head
  for (int64_t i = 0; i != rows / rotatedBoxRows; ++i) {
    Int box = row / rotatedBoxRows + i;
    copyIn(
        k, destination + i * tileBytes(rotatedBoxRows), map, barrier,
        {from, box % boxes * (rotatedBoxRows / 2), k.integer(0), box / boxes});
  }
}

void OperandRing::reserveStages(SharedLayout &layout, int64_t least) {
  // Rows of 128 bytes with the copy engine's swizzle repeat every 1024.
  ring = layout.reserve(std::max(schedule.stages * stageBytes(), least), 1024);
}

void OperandRing::reserveBarriers(SharedLayout &layout) {
  fullOffset = layout.barriers(schedule.stages);
  emptyOffset = layout.barriers(schedule.stages);
}

void OperandRing::prepare(Int atShared, const LinearOperands &given) {
  shared = atShared;
  operands = given;
}

void OperandRing::initialise(DeviceBuilder &k, int64_t releases) const {
  for (int64_t i = 0; i != schedule.stages; ++i) {
    initBarrier(k, shared + (fullOffset + 8 * i), 1);
    initBarrier(k, shared + (emptyOffset + 8 * i), releases);
  }
}

void OperandRing::copyWeights(DeviceBuilder &k, Int stage, Int step, Int column,
                              Int boxes) const {
  Int ready = full(stage);
  arriveExpecting(k, ready,
                  inputTile.bytes(boxes) + tileBytes(schedule.tileColumns));
  copyWeightTile(k, params, operands.w, schedule.tileColumns,
                 inputsOf(stage) + bytesOfX(), ready,
                 {step * tileDepth, column});
}

void OperandRing::copyInputs(DeviceBuilder &k, Int stage, Int step, Int row,
                             Int boxes) const {
  inputTile.copy(k, operands.x, boxes, inputsOf(stage), full(stage),
                 {step * tileDepth, row});
}

OperandRing::InFlight OperandRing::multiply(DeviceBuilder &k,
                                            const Products &products, Long a,
                                            Long b, Stage first, Int begin,
                                            Int end, int64_t sums) const {
  auto step = [&](Stage at, ValueRange accumulators, bool overwrite) {
    waitBarrier(k, full(at.index), at.phase);
    Int offset = at.index * stageBytes();
    return cuda::multiply(k, products, advance(a, offset), advance(b, offset),
                          accumulators, k.integer(overwrite ? 0 : 1));
  };
  // Overwritten by the first products.
  Values accumulators(static_cast<size_t>(sums), k.undefined());
  accumulators = step(first, accumulators, true);
  Stage second = first.next(schedule.stages);
  Values carried = {second.index, second.phase, first.index};
  carried.append(accumulators);
  // One sequence of products is in flight; the stage of the one before it is
  // released.
  carried =
      k.loop(begin + 1, end, k.integer(1), carried, [&](Int, ValueRange in) {
        Stage at{k.asInt(in[0]), k.asInt(in[1])};
        Values sums = step(at, in.drop_front(3), false);
        sums = waitProducts(k, 1, sums);
        release(k, k.asInt(in[2]));
        Stage after = at.next(schedule.stages);
        Values out = {after.index, after.phase, at.index};
        out.append(sums);
        return out;
      });
  return {Values(ArrayRef<Value>(carried).drop_front(3)),
          {k.asInt(carried[0]), k.asInt(carried[1])},
          k.asInt(carried[2])};
}

void OperandRing::release(DeviceBuilder &k, Int stage) const {
  k.when(k.lane() == 0, [&] { arrive(k, empty(stage)); });
}

} // namespace rshard::cuda
