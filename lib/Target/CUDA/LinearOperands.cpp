//===- LinearOperands.cpp - what tiled matrix products read ---------------===//

#include "LinearOperands.h"
#include "LinearEpilogue.h"

using namespace mlir;

namespace rshard::cuda {

constexpr int64_t boxRows = PanelShape::boxRows;

/// The swizzle of tiles.
constexpr int64_t swizzle = tileBytes(1);

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
                   {tileDepth, boxRows}, swizzle);
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
                     params.weightRows(), {tileDepth, rows}, swizzle);
  MLIRContext *context = params.element.getContext();
  auto size = [&](int64_t factor) {
    return SizeAttr::get(context, factor, -1);
  };
  int64_t head = params.rotation->headSize, bytes = params.inputs * 2;
  return MapAttr::get(context, argument, params.element,
                      {size(params.inputs), size(head / 2), size(2),
                       size(params.weightRows() / head)},
                      {size(bytes), size(head / 2 * bytes), size(head * bytes)},
                      {tileDepth, boxRows / 2, 2, 1}, swizzle);
}

void copyWeightTile(DeviceBuilder &k, const LinearParams &params, Value map,
                    int64_t rows, Int destination, Int barrier,
                    std::array<Int, 2> at) {
  auto [from, row] = at;
  if (!params.rotation) {
    copyIn(k, destination, map, barrier, {from, row});
    return;
  }
  int64_t boxes = params.rotation->headSize / boxRows; // of a head
  for (int64_t i = 0; i != rows / boxRows; ++i) {
    Int box = row / boxRows + i;
    copyIn(k, destination + i * tileBytes(boxRows), map, barrier,
           {from, box % boxes * (boxRows / 2), k.integer(0), box / boxes});
  }
}

} // namespace rshard::cuda
