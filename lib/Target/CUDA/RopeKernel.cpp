//===- RopeKernel.cpp - the rotation of queries and keys ------------------===//

#include "RowAccesses.h"
#include "RowElements.h"
#include "rshard/Target/CUDA/KernelLibrary.h"
#include "llvm/ADT/STLExtras.h"
#include <numeric>

using namespace mlir;

namespace rshard::cuda {

SymbolRefAttr KernelLibrary::rope(ArrayRef<int64_t> heads, int64_t headSize,
                                  Type element) {
  int64_t half = headSize / 2, count = elementsPerAccess(half, element);
  int64_t all = std::accumulate(heads.begin(), heads.end(), int64_t(0));
  auto matrices = static_cast<int64_t>(heads.size());
  RowAccesses accesses(all * half, count);
  Launch launch;
  launch.threads = accesses.threads();
  launch.grid = {blocksOf(matrices + 2, 1)};
  for (int64_t i = 0; i != 2 * matrices + 2; ++i)
    launch.parameters.push_back(pointer(i));
  std::string name = "rope_";
  for (int64_t number : heads)
    name += std::to_string(number) + "_";
  name.back() = 'x';
  name += std::to_string(headSize) + "_" + elementName(element);
  return define(name, launch, [&](DeviceBuilder &k, ValueRange in) {
    size_t shared = heads.size();
    Global table = k.asGlobal(in[shared + 1]);
    Int row = k.block();
    // The global position (C4).
    Int position = k.loadInt(k.asGlobal(in[shared]), row);
    auto rotate = [&](Global x, Global y, Long low, Int at) {
      Long angle = elementAt(k, position, headSize, at);
      auto a = loadElements(k, x, low, element, count);
      auto b = loadElements(k, x, low + half, element, count);
      SmallVector<Float> first, second;
      for (int64_t i = 0; i != count; ++i) {
        auto angleAt = [&](int64_t offset) {
          return k.asFloat(
              k.load(k.f32(), k.at(table, angle + offset, k.f32()), true));
        };
        Float cos = angleAt(i), sin = angleAt(half + i);
        first.push_back(k.fma(a[i], cos, -(b[i] * sin)));
        second.push_back(k.fma(b[i], cos, a[i] * sin));
      }
      storeElements(k, first, y, low, element);
      storeElements(k, second, y, low + half, element);
    };
    accesses.forEach(k, [&](Int pair) {
      Int head = pair / half, at = pair - head * half;
      int64_t begin = 0;
      for (auto [i, number] : llvm::enumerate(heads)) {
        int64_t end = begin + number;
        k.when((head > begin - 1) & (head < end), [&] {
          rotate(k.asGlobal(in[i]), k.asGlobal(in[shared + 2 + i]),
                 elementAt(k, row, number * headSize,
                           (head - begin) * headSize + at),
                 at);
        });
        begin = end;
      }
    });
  });
}

} // namespace rshard::cuda
