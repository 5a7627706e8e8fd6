//===- EmbedKernel.cpp - rows of a table, by token ids --------------------===//

#include "RowAccesses.h"
#include "RowElements.h"
#include "rshard/Target/CUDA/KernelLibrary.h"

using namespace mlir;

namespace rshard::cuda {

SymbolRefAttr KernelLibrary::embed(const EmbedParams &params) {
  int64_t count = std::min(elementsPerAccess(params.width, params.table),
                           elementsPerAccess(params.width, params.element));
  RowAccesses accesses(params.width, count);
  int64_t output = params.constant ? 3 : 2;
  Launch launch;
  launch.threads = accesses.threads();
  launch.grid = {blocksOf(output, 1)};
  for (int64_t i = 0; i <= output; ++i)
    launch.parameters.push_back(pointer(i));
  std::string name = "embed_" + std::to_string(params.width) + "_" +
                     elementName(params.table) + "_" +
                     elementName(params.element) +
                     (params.accumulate ? "_accumulate" : "") +
                     (params.constant ? "_constant" : "");
  return define(name, launch, [&](DeviceBuilder &k, ValueRange in) {
    Global table = k.asGlobal(in[1]), y = k.asGlobal(in[output]);
    Int row = k.block(), id = k.loadInt(k.asGlobal(in[0]), row);
    accesses.forEach(k, [&](Int column) {
      auto values =
          loadElements(k, table, elementAt(k, id, params.width, column),
                       params.table, count, /*constant=*/true);
      Long to = elementAt(k, row, params.width, column);
      if (params.constant)
        for (int64_t i = 0; i != count; ++i)
          values[i] = values[i] + k.loadFloat(k.asGlobal(in[2]), column + i,
                                              /*constant=*/true);
      if (params.accumulate) {
        auto before = loadElements(k, y, to, params.element, count);
        for (int64_t i = 0; i != count; ++i)
          values[i] = before[i] + values[i];
      }
      storeElements(k, values, y, to, params.element);
    });
  });
}

} // namespace rshard::cuda
