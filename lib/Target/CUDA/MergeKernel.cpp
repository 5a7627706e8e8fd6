//===- MergeKernel.cpp - the exact merge of partials (C3) -----------------===//

#include "RowElements.h"
#include "rshard/Target/CUDA/KernelLibrary.h"

using namespace mlir;

namespace rshard::cuda {

SymbolRefAttr KernelLibrary::merge(int64_t heads, int64_t headSize,
                                   Type partial, Type element) {
  int64_t width = heads * headSize;
  int64_t count = std::min(elementsPerAccess(headSize, partial),
                           elementsPerAccess(headSize, element));
  int64_t accesses = width / count;
  Launch launch;
  launch.threads = threadsFor(accesses);
  launch.grid = {blocksOf(4, 1)};
  launch.parameters = {pointer(0), pointer(1), pointer(2), pointer(3),
                       pointer(4)};
  std::string name = "merge_" + std::to_string(heads) + "x" +
                     std::to_string(headSize) + "_" + elementName(partial) +
                     "_" + elementName(element);
  return define(name, launch, [&](DeviceBuilder &k, ValueRange in) {
    Global o = k.asGlobal(in[0]), lse = k.asGlobal(in[1]),
           begin = k.asGlobal(in[2]), source = k.asGlobal(in[3]),
           y = k.asGlobal(in[4]);
    Int row = k.block();
    Int first = k.loadInt(begin, row), last = k.loadInt(begin, row + 1);
    Int one = k.integer(1);
    auto partialAt = [&](Int index, Int column) {
      return loadElements(k, o, k.widen(index) * width + k.widen(column),
                          partial, count);
    };
    auto mergeAll = [&](Int column) {
      Int head = column / headSize;
      auto lseOf = [&](Int index) {
        return k.asFloat(
            k.load(k.f32(),
                   k.at(lse, k.widen(index) * heads + k.widen(head), k.f32())));
      };
      Float none = k.constant(-INFINITY);
      Float top = k.asFloat(k.loop(
          first, last, one, Values{none}, [&](Int i, ValueRange carried) {
            Float value = lseOf(k.loadInt(source, i));
            return Values{k.max(k.asFloat(carried[0]), value)};
          })[0]);
      // Where every lse is -inf the weights are exp(-inf - 0) = 0.
      Float shift = k.select(top == none, k.constant(0.0), top);
      Values init(count + 1, Value(k.constant(0.0)));
      Values sums =
          k.loop(first, last, one, init, [&](Int i, ValueRange carried) {
            Int index = k.loadInt(source, i);
            Float weight = k.exp2((lseOf(index) - shift) * log2e);
            auto values = partialAt(index, column);
            Values next{k.asFloat(carried[0]) + weight};
            for (int64_t e = 0; e != count; ++e)
              next.push_back(
                  k.fma(weight, values[e], k.asFloat(carried[e + 1])));
            return next;
          });
      Float sum = k.asFloat(sums[0]), zero = k.constant(0.0);
      Float factor = k.select(sum == zero, zero, k.reciprocal(sum));
      SmallVector<Float> results;
      for (int64_t e = 0; e != count; ++e)
        results.push_back(k.asFloat(sums[e + 1]) * factor);
      return results;
    };
    auto each = [&](function_ref<SmallVector<Float>(Int)> merged) {
      k.loop(k.thread(), k.integer(accesses), k.integer(launch.threads),
             [&](Int access) {
               Int column = access * count;
               storeElements(k, merged(column), y,
                             k.widen(row) * width + k.widen(column), element);
             });
    };
    // A single partial has weight 1, whatever its lse.
    k.when(
        last - first == 1,
        [&] {
          Int only = k.loadInt(source, first);
          each([&](Int column) { return partialAt(only, column); });
        },
        [&] { each(mergeAll); });
  });
}

} // namespace rshard::cuda
