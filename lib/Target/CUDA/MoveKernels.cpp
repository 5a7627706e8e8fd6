//===- MoveKernels.cpp - rows or parts of them to another place -----------===//

#include "RowAccesses.h"
#include "RowElements.h"
#include "rshard/Target/CUDA/KernelLibrary.h"

using namespace mlir;

namespace rshard::cuda {

/// `count` elements, without a look at what they are.
static Type accessType(DeviceBuilder &k, Type element, int64_t count) {
  int64_t bytes = count * element.getIntOrFloatBitWidth() / 8;
  return bytes == 2   ? Type(k.ops.getI16Type())
         : bytes == 4 ? k.i32()
                      : Type(VectorType::get({bytes / 4}, k.i32()));
}

/// y[target] = x[source].
static void copyRow(DeviceBuilder &k, const RowAccesses &accesses,
                    int64_t width, Type element, int64_t count, Global x,
                    Int source, Global y, Int target) {
  Type type = accessType(k, element, count);
  accesses.forEach(k, [&](Int column) {
    Value value =
        k.load(type, k.at(x, elementAt(k, source, width, column), element));
    k.store(value, k.at(y, elementAt(k, target, width, column), element));
  });
}

SymbolRefAttr KernelLibrary::columns(int64_t total, int64_t first,
                                     int64_t width, Type element) {
  int64_t count = std::min({elementsPerAccess(total, element),
                            elementsPerAccess(first, element),
                            elementsPerAccess(width, element)});
  RowAccesses accesses(width, count);
  Launch launch;
  launch.threads = accesses.threads();
  launch.grid = {blocksOf(1, 1)};
  launch.parameters = {pointer(0), pointer(1)};
  std::string name = "columns_" + std::to_string(width) + "_from_" +
                     std::to_string(first) + "_of_" + std::to_string(total) +
                     "_" + elementName(element);
  return define(name, launch, [&](DeviceBuilder &k, ValueRange in) {
    Int row = k.block();
    Type type = accessType(k, element, count);
    accesses.forEach(k, [&](Int column) {
      Long from = elementAt(k, row, total, column + first),
           to = elementAt(k, row, width, column);
      k.store(k.load(type, k.at(k.asGlobal(in[0]), from, element), false),
              k.at(k.asGlobal(in[1]), to, element));
    });
  });
}

SymbolRefAttr KernelLibrary::gather(int64_t width, Type element) {
  int64_t count = elementsPerAccess(width, element);
  RowAccesses accesses(width, count);
  Launch launch;
  launch.threads = accesses.threads();
  launch.grid = {blocksOf(1, 1)};
  launch.parameters = {pointer(0), pointer(1), pointer(2)};
  return define("gather_" + std::to_string(width) + "_" + elementName(element),
                launch, [&](DeviceBuilder &k, ValueRange in) {
                  Int row = k.block();
                  copyRow(k, accesses, width, element, count, k.asGlobal(in[0]),
                          k.loadInt(k.asGlobal(in[1]), row), k.asGlobal(in[2]),
                          row);
                });
}

SymbolRefAttr KernelLibrary::append(int64_t width, Type element,
                                    int64_t count) {
  int64_t perAccess = elementsPerAccess(width, element);
  RowAccesses accesses(width, perAccess);
  Launch launch;
  launch.threads = accesses.threads();
  launch.blocks = count; // of a row, one for every cache
  launch.grid = {blocksOf(count, 1)};
  for (int64_t i = 0; i != 2 * count + 2; ++i)
    launch.parameters.push_back(pointer(i));
  std::string name = "append_" + std::to_string(width) +
                     (count > 1 ? "x" + std::to_string(count) : "") + "_" +
                     elementName(element);
  return define(name, launch, [&](DeviceBuilder &k, ValueRange in) {
    auto caches = static_cast<size_t>(count);
    Int i = k.block() / count, which = k.block() % count;
    Int source = k.loadInt(k.asGlobal(in[caches]), i),
        target = k.loadInt(k.asGlobal(in.back()), i);
    for (size_t cache = 0; cache != caches; ++cache)
      k.when(which == static_cast<int64_t>(cache), [&] {
        copyRow(k, accesses, width, element, perAccess, k.asGlobal(in[cache]),
                source, k.asGlobal(in[caches + 1 + cache]), target);
      });
  });
}

} // namespace rshard::cuda
