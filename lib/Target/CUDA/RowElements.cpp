//===- RowElements.cpp - several elements of a row at once ----------------===//

#include "RowElements.h"

using namespace mlir;

namespace rshard::cuda {

int64_t elementsPerAccess(int64_t width, Type element) {
  int64_t count = 16 / (element.getIntOrFloatBitWidth() / 8);
  while (width % count)
    count /= 2;
  return count;
}

int64_t threadsFor(int64_t accesses) {
  return std::min<int64_t>(256, (accesses + 31) / 32 * 32);
}

Long elementAt(DeviceBuilder &k, Int row, int64_t width, Int column) {
  return k.widen(row) * width + k.widen(column);
}

Type packedType(DeviceBuilder &k, Type element, int64_t count) {
  if (count == 1)
    return element;
  if (element.isF32())
    return VectorType::get({count}, element);
  // Pairs in registers of 32 bits.
  return count == 2 ? k.i32() : Type(VectorType::get({count / 2}, k.i32()));
}

Value loadPacked(DeviceBuilder &k, Global base, Long offset, Type element,
                 int64_t count, bool constant) {
  return k.load(packedType(k, element, count), k.at(base, offset, element),
                constant);
}

SmallVector<Float> unpackElements(DeviceBuilder &k, Value packed, Type element,
                                  int64_t count) {
  if (count == 1)
    return {element.isF32() ? k.asFloat(packed) : k.convert(packed)};
  SmallVector<Float> out;
  if (element.isF32()) {
    for (int64_t i = 0; i != count; ++i)
      out.push_back(k.asFloat(k.extract(packed, i)));
    return out;
  }
  for (int64_t i = 0; i != count / 2; ++i) {
    auto [low, high] =
        k.unpack(k.asInt(count == 2 ? packed : k.extract(packed, i)), element);
    out.push_back(low);
    out.push_back(high);
  }
  return out;
}

SmallVector<Float> loadElements(DeviceBuilder &k, Global base, Long offset,
                                Type element, int64_t count, bool constant) {
  return unpackElements(
      k, loadPacked(k, base, offset, element, count, constant), element, count);
}

void storeElements(DeviceBuilder &k, ArrayRef<Float> values, Global base,
                   Long offset, Type element) {
  Global to = k.at(base, offset, element);
  if (element.isF32()) {
    k.store(values.size() == 1
                ? Value(values[0])
                : k.combine(Values(values.begin(), values.end())),
            to);
    return;
  }
  if (values.size() == 1) {
    k.store(k.convert(values[0], element), to);
    return;
  }
  Values pairs;
  for (size_t i = 0; i != values.size(); i += 2)
    pairs.push_back(k.pack(values[i], values[i + 1], element));
  k.store(pairs.size() == 1 ? pairs[0] : k.combine(pairs), to);
}

} // namespace rshard::cuda
