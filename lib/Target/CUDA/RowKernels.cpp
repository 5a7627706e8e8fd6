//===- RowKernels.cpp - elementwise kernels, RoPE, and moves of rows ------===//

#include "Activate.h"
#include "RowElements.h"
#include "rshard/Target/CUDA/KernelLibrary.h"
#include "llvm/ADT/STLExtras.h"
#include <numeric>

using namespace mlir;

namespace rshard::cuda {

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
