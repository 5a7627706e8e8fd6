//===- ElementwiseKernels.cpp - each element by itself --------------------===//

#include "Activate.h"
#include "RowAccesses.h"
#include "RowElements.h"
#include "rshard/Target/CUDA/KernelLibrary.h"

using namespace mlir;

namespace rshard::cuda {

SymbolRefAttr KernelLibrary::eachElement(
    const std::string &name, int64_t width, Type element, int64_t inputs,
    bool vector, function_ref<Value(DeviceBuilder &, ValueRange)> body) {
  int64_t count = elementsPerAccess(width, element);
  RowAccesses accesses(width, count);
  int64_t output = inputs + (vector ? 1 : 0);
  Launch launch;
  launch.threads = accesses.threads();
  launch.grid = {blocksOf(output, 1)};
  for (int64_t i = 0; i <= output; ++i)
    launch.parameters.push_back(pointer(i));
  return define(
      name + "_" + std::to_string(width) + "_" + elementName(element), launch,
      [&](DeviceBuilder &k, ValueRange in) {
        accesses.forEach(k, [&](Int column) {
          Long at = elementAt(k, k.block(), width, column);
          SmallVector<SmallVector<Float>> read;
          for (int64_t i = 0; i != inputs; ++i)
            read.push_back(
                loadElements(k, k.asGlobal(in[i]), at, element, count));
          if (vector)
            for (int64_t i = 0; i != count; ++i) {
              if (i == 0)
                read.emplace_back();
              read.back().push_back(k.loadFloat(k.asGlobal(in[inputs]),
                                                column + i, /*constant=*/true));
            }
          SmallVector<Float> results;
          for (int64_t i = 0; i != count; ++i) {
            Values values;
            for (const SmallVector<Float> &operand : read)
              values.push_back(operand[i]);
            results.push_back(k.asFloat(body(k, values)));
          }
          storeElements(k, results, k.asGlobal(in[output]), at, element);
        });
      });
}

SymbolRefAttr KernelLibrary::activation(int64_t width,
                                        std::optional<Activation> kind,
                                        Type element) {
  return eachElement(kind ? stringifyActivation(*kind).str() : "copy", width,
                     element, 1, false,
                     [&](DeviceBuilder &k, ValueRange x) -> Value {
                       Float value = k.asFloat(x[0]);
                       return kind ? activate(k, *kind, value) : value;
                     });
}

SymbolRefAttr KernelLibrary::convert(int64_t width, Type from, Type to) {
  int64_t count =
      std::min(elementsPerAccess(width, from), elementsPerAccess(width, to));
  RowAccesses accesses(width, count);
  Launch launch;
  launch.threads = accesses.threads();
  launch.grid = {blocksOf(1, 1)};
  launch.parameters = {pointer(0), pointer(1)};
  return define("convert_" + std::to_string(width) + "_" + elementName(from) +
                    "_" + elementName(to),
                launch, [&](DeviceBuilder &k, ValueRange in) {
                  accesses.forEach(k, [&](Int column) {
                    Long at = elementAt(k, k.block(), width, column);
                    storeElements(
                        k, loadElements(k, k.asGlobal(in[0]), at, from, count),
                        k.asGlobal(in[1]), at, to);
                  });
                });
}

SymbolRefAttr KernelLibrary::gated(int64_t width, Activation kind,
                                   Type element) {
  return eachElement("gated_" + stringifyActivation(kind).str(), width, element,
                     2, false, [&](DeviceBuilder &k, ValueRange x) -> Value {
                       return activate(k, kind, k.asFloat(x[0])) *
                              k.asFloat(x[1]);
                     });
}

SymbolRefAttr KernelLibrary::add(int64_t width, Type element) {
  return eachElement("add", width, element, 2, false,
                     [](DeviceBuilder &k, ValueRange x) -> Value {
                       return k.asFloat(x[0]) + k.asFloat(x[1]);
                     });
}

SymbolRefAttr KernelLibrary::addRow(int64_t width, Type element) {
  return eachElement("addrow", width, element, 1, true,
                     [](DeviceBuilder &k, ValueRange x) -> Value {
                       return k.asFloat(x[0]) + k.asFloat(x[1]);
                     });
}

} // namespace rshard::cuda
