//===- RowKernels.cpp - elementwise kernels, RoPE, and moves of rows ------===//

#include "Activate.h"
#include "RowElements.h"
#include "rshard/Target/CUDA/KernelLibrary.h"
#include "llvm/ADT/Twine.h"

using namespace mlir;

namespace rshard::cuda {

/// Threads of a block that handles one row of `accesses` accesses.
static int64_t threadsFor(int64_t accesses) {
  return std::min<int64_t>(256, (accesses + 31) / 32 * 32);
}

namespace {
/// The accesses of one row, dealt to the threads of its block.
class RowAccesses {
public:
  RowAccesses(int64_t width, int64_t perAccess)
      : accesses(width / perAccess), perAccess(perAccess) {}

  int64_t threads() const { return threadsFor(accesses); }
  /// Calls `body` with the first column of every access of this thread.
  void forEach(DeviceBuilder &k, function_ref<void(Int)> body) const {
    k.loop(k.thread(), k.integer(accesses), k.integer(threads()),
           [&](Int access) { body(access * perAccess); });
  }

private:
  int64_t accesses, perAccess;
};
} // namespace

static Long elementAt(DeviceBuilder &k, Int row, int64_t width, Int column) {
  return k.widen(row) * width + k.widen(column);
}

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
            read.push_back(loadElements(k, k.asGlobal(in[i]), at, element,
                                        count, /*constant=*/false));
          if (vector)
            for (int64_t i = 0; i != count; ++i) {
              if (i == 0)
                read.emplace_back();
              read.back().push_back(
                  k.loadFloat(k.asGlobal(in[inputs]), column + i));
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

SymbolRefAttr KernelLibrary::rope(int64_t heads, int64_t headSize,
                                  Type element) {
  int64_t half = headSize / 2, width = heads * headSize;
  int64_t count = elementsPerAccess(half, element);
  RowAccesses accesses(heads * half, count);
  Launch launch;
  launch.threads = accesses.threads();
  launch.grid = {blocksOf(3, 1)};
  launch.parameters = {pointer(0), pointer(1), pointer(2), pointer(3)};
  return define(
      ("rope_" + Twine(heads) + "x" + Twine(headSize) + "_" +
       elementName(element))
          .str(),
      launch, [&](DeviceBuilder &k, ValueRange in) {
        Global x = k.asGlobal(in[0]), table = k.asGlobal(in[2]),
               y = k.asGlobal(in[3]);
        Int row = k.block();
        // The global position (C4).
        Int position = k.loadInt(k.asGlobal(in[1]), row);
        accesses.forEach(k, [&](Int pair) {
          Int head = pair / half, at = pair - head * half;
          Long low = elementAt(k, row, width, head * headSize + at);
          Long angle = elementAt(k, position, headSize, at);
          auto a = loadElements(k, x, low, element, count, false);
          auto b = loadElements(k, x, low + half, element, count, false);
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
        });
      });
}

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
                       params.table, count);
      Long to = elementAt(k, row, params.width, column);
      if (params.constant)
        for (int64_t i = 0; i != count; ++i)
          values[i] = values[i] + k.loadFloat(k.asGlobal(in[2]), column + i);
      if (params.accumulate) {
        auto before = loadElements(k, y, to, params.element, count, false);
        for (int64_t i = 0; i != count; ++i)
          values[i] = before[i] + values[i];
      }
      storeElements(k, values, y, to, params.element);
    });
  });
}

/// y[target] = x[source], without a look at what the elements are.
static void copyRow(DeviceBuilder &k, const RowAccesses &accesses,
                    int64_t width, Type element, int64_t count, Global x,
                    Int source, Global y, Int target) {
  int64_t bytes = count * element.getIntOrFloatBitWidth() / 8;
  Type type = bytes == 2   ? Type(k.ops.getI16Type())
              : bytes == 4 ? k.i32()
                           : Type(VectorType::get({bytes / 4}, k.i32()));
  accesses.forEach(k, [&](Int column) {
    Value value = k.load(
        type, k.at(x, elementAt(k, source, width, column), element), false);
    k.store(value, k.at(y, elementAt(k, target, width, column), element));
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

SymbolRefAttr KernelLibrary::append(int64_t width, Type element) {
  int64_t count = elementsPerAccess(width, element);
  RowAccesses accesses(width, count);
  Launch launch;
  launch.threads = accesses.threads();
  launch.grid = {blocksOf(1, 1)};
  launch.parameters = {pointer(0), pointer(1), pointer(2), pointer(3)};
  return define("append_" + std::to_string(width) + "_" + elementName(element),
                launch, [&](DeviceBuilder &k, ValueRange in) {
                  Int i = k.block();
                  copyRow(k, accesses, width, element, count, k.asGlobal(in[0]),
                          k.loadInt(k.asGlobal(in[1]), i), k.asGlobal(in[2]),
                          k.loadInt(k.asGlobal(in[3]), i));
                });
}

} // namespace rshard::cuda
