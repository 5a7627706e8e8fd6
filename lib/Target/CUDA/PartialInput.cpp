//===- PartialInput.cpp - the input where attention has left it -----------===//

#include "PartialInput.h"
#include "RowElements.h"

using namespace mlir;

namespace rshard::cuda {

Global findPartial(DeviceBuilder &k, const LinearParams &params,
                   const LinearOperands &operands, Int column) {
  Int row = k.loadInt(operands.source, k.integer(0), /*constant=*/true);
  return k.at(k.asGlobal(operands.x), elementAt(k, row, params.inputs, column),
              params.partial);
}

Values loadEightOfPartial(DeviceBuilder &k, const LinearParams &params,
                          Global from) {
  constexpr int64_t eight = 8;
  int64_t count = elementsPerAccess(eight, params.partial);
  Values loaded, out;
  for (int64_t i = 0; i != eight; i += count)
    loaded.push_back(
        loadPacked(k, from, k.longInteger(i), params.partial, count));
  for (Value packed : loaded) {
    if (params.partial == params.element) {
      for (int64_t i = 0; i != count / 2; ++i)
        out.push_back(k.extract(packed, i));
      continue;
    }
    SmallVector<Float> elements =
        unpackElements(k, packed, params.partial, count);
    for (size_t i = 0; i != elements.size(); i += 2)
      out.push_back(k.pack(elements[i], elements[i + 1], params.element));
  }
  return out;
}

} // namespace rshard::cuda
