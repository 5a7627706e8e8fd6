//===- RowKernels.cpp - kernels that treat every row alone ----------------===//

#include "DeviceBuilder.h"
#include "rshard/Target/CUDA/KernelLibrary.h"

using namespace mlir;

namespace rshard::cuda {

SymbolRefAttr KernelLibrary::widen(int64_t width, Type element) {
  constexpr int64_t threads = 128;
  Launch launch;
  launch.threads = threads;
  launch.grid = {blocksOf(1, 1)};
  launch.parameters = {pointer(0), pointer(1)};
  return define(
      "widen_" + std::to_string(width) + "_" + elementName(element), launch,
      [&](DeviceBuilder &k, ValueRange in) {
        Global x = k.asGlobal(in[0]), y = k.asGlobal(in[1]);
        Long row = k.widen(k.block()) * width;
        k.loop(k.thread(), k.integer(width), k.integer(threads), [&](Int i) {
          Long at = row + k.widen(i);
          Value value = k.load(element, k.at(x, at, element), true);
          k.store(k.convert(value), k.at(y, at, k.f32()));
        });
      });
}

} // namespace rshard::cuda
