//===- NormKernel.cpp - RMS and layer normalisation -----------------------===//

#include "RowElements.h"
#include "rshard/Target/CUDA/KernelLibrary.h"

using namespace mlir;

namespace rshard::cuda {

namespace {
/// The elements of one group in the registers of the threads that share it.
struct Group {
  int64_t threads;  ///< that share a group: a warp, or a block of several
  int64_t count;    ///< elements of one access
  int64_t accesses; ///< of a thread
};

/// Sums of one f32 per thread over a group, in one order.
class GroupSum {
public:
  GroupSum(DeviceBuilder &k, const Group &group, Int scratch)
      : k(k), warps(group.threads / 32), scratch(scratch) {}

  Float operator()(Float value) {
    value = k.warpSum(value);
    if (warps == 1)
      return value;
    // The sum of a warp is the same in all its lanes.
    k.storeShared(value, scratch + (k.warp() << 2));
    k.syncBlock();
    Float sum = k.constant(0.0);
    for (int64_t warp = 0; warp != warps; ++warp)
      sum = sum + k.asFloat(k.loadShared(k.f32(), scratch + 4 * warp));
    k.syncBlock();
    return sum;
  }

private:
  DeviceBuilder &k;
  int64_t warps;
  Int scratch;
};
} // namespace

/// Narrow groups take a warp each, several to a block; wide ones a block.
static Group deal(int64_t width, Type element) {
  Group group;
  group.count = elementsPerAccess(width, element);
  int64_t accesses = width / group.count;
  group.threads = 32;
  // At most 4 accesses of a thread, and at most 512 threads.
  while (group.threads < 512 && accesses > 4 * group.threads)
    group.threads *= 2;
  group.accesses = (accesses + group.threads - 1) / group.threads;
  return group;
}

SymbolRefAttr KernelLibrary::norm(const NormParams &params) {
  Group group = deal(params.width, params.element);
  int64_t perBlock = group.threads == 32 ? 4 : 1; // groups
  int64_t width = params.width, output = 1 + params.scale + params.bias;
  Launch launch;
  launch.threads = group.threads * perBlock;
  launch.shared = group.threads == 32 ? 0 : 4 * group.threads / 32;
  // Groups of a row follow one another, and so do rows.
  if (params.heads % perBlock == 0) {
    launch.blocks = params.heads / perBlock;
    launch.grid = {blocksOf(output, 1)};
  } else {
    launch.blocks = params.heads;
    launch.grid = {blocksOf(output, perBlock)};
  }
  for (int64_t i = 0; i <= output; ++i)
    launch.parameters.push_back(pointer(i));
  launch.parameters.push_back(rows(output));
  std::string name =
      std::string(params.kind == NormKind::RMS ? "norm_rms_" : "norm_layer_") +
      std::to_string(params.heads) + "x" + std::to_string(width) + "_" +
      bitsName(params.epsilon) + (params.scale ? "_scale_" : "_") +
      (params.bias ? "bias_" : "") + elementName(params.element);
  return define(name, launch, [&](DeviceBuilder &k, ValueRange in) {
    Global x = k.asGlobal(in[0]), y = k.asGlobal(in[output]);
    Int groups = k.asInt(in.back()) * params.heads;
    Int inBlock = perBlock == 1 ? k.integer(0) : k.warp();
    Int number = k.block() * perBlock + inBlock;
    Int member = perBlock == 1 ? k.thread() : k.lane();
    k.when(number < groups, [&] {
      Long first = k.widen(number) * width;
      auto columnOf = [&](int64_t access) {
        return (member + access * group.threads) * group.count;
      };
      // Accesses behind the end give zero and are not stored.
      bool ragged = group.accesses * group.threads * group.count != width;
      SmallVector<Float> values;
      for (int64_t access = 0; access != group.accesses; ++access) {
        Int column = columnOf(access);
        auto read = [&]() {
          return loadElements(k, x, first + k.widen(column), params.element,
                              group.count);
        };
        if (!ragged || access + 1 != group.accesses) {
          llvm::append_range(values, read());
          continue;
        }
        SmallVector<Type> types(group.count, k.f32());
        for (Value value : k.choose(
                 column < width, types,
                 [&] {
                   auto loaded = read();
                   return Values(loaded.begin(), loaded.end());
                 },
                 [&] { return Values(group.count, Value(k.constant(0.0))); }))
          values.push_back(k.asFloat(value));
      }
      GroupSum sum(k, group, launch.shared ? k.sharedMemory() : k.integer(0));
      Float shift;
      if (params.kind == NormKind::Layer) {
        Float total = values[0];
        for (Float value : ArrayRef(values).drop_front())
          total = total + value;
        shift = sum(total) * (1.0 / static_cast<double>(width));
      }
      Float squares = k.constant(0.0);
      for (auto [i, value] : llvm::enumerate(values)) {
        if (params.kind == NormKind::Layer)
          value = value - shift;
        Float square = value * value;
        int64_t access = static_cast<int64_t>(i) / group.count;
        if (params.kind == NormKind::Layer && ragged &&
            access + 1 == group.accesses)
          square = k.select(columnOf(access) < width, square, k.constant(0.0));
        squares = squares + square;
      }
      Float mean = sum(squares) * (1.0 / static_cast<double>(width));
      Float factor = k.reciprocalSqrt(mean + params.epsilon);
      for (int64_t access = 0; access != group.accesses; ++access) {
        Int column = columnOf(access);
        auto write = [&] {
          auto load = [&](Value vector) {
            SmallVector<Float> out;
            for (int64_t i = 0; i < group.count; i += 4)
              llvm::append_range(
                  out, loadElements(k, k.asGlobal(vector), k.widen(column + i),
                                    k.f32(), std::min<int64_t>(group.count, 4),
                                    /*constant=*/true));
            return out;
          };
          SmallVector<Float> scales, biases, results;
          if (params.scale)
            scales = load(in[1]);
          if (params.bias)
            biases = load(in[output - 1]);
          for (int64_t i = 0; i != group.count; ++i) {
            Float value = values[access * group.count + i] * factor;
            if (params.bias)
              value = params.scale ? k.fma(value, scales[i], biases[i])
                                   : value + biases[i];
            else if (params.scale)
              value = value * scales[i];
            results.push_back(value);
          }
          storeElements(k, results, y, first + k.widen(column), params.element);
        };
        if (!ragged || access + 1 != group.accesses)
          write();
        else
          k.when(column < width, write);
      }
    });
  });
}

SymbolRefAttr KernelLibrary::normFactors(int64_t width, double epsilon) {
  constexpr int64_t perBlock = 8; // rows, of a warp each
  int64_t sums = width / columnsPerSum;
  Launch launch;
  launch.threads = 32 * perBlock;
  launch.grid = {blocksOf(1, perBlock)};
  launch.parameters = {pointer(0), pointer(1), rows(1)};
  std::string name =
      "norm_factors_" + std::to_string(width) + "_" + bitsName(epsilon);
  return define(name, launch, [&](DeviceBuilder &k, ValueRange in) {
    Int row = k.block() * perBlock + k.warp();
    k.when(row < k.asInt(in.back()), [&] {
      Float sum = k.constant(0.0);
      for (int64_t first = 0; first < sums; first += 32) {
        Int column = k.lane() + first;
        auto read = [&] {
          return k.loadFloat(k.asGlobal(in[0]), row * sums + column);
        };
        if (first + 32 <= sums)
          sum = sum + read();
        else
          sum = sum + k.asFloat(k.choose(
                          column < sums, TypeRange(k.f32()),
                          [&] { return Values{read()}; },
                          [&] { return Values{k.constant(0.0)}; })[0]);
      }
      sum = k.warpSum(sum);
      Float mean = sum * (1.0 / static_cast<double>(width));
      k.when(k.lane() == 0, [&] {
        k.store(k.reciprocalSqrt(mean + epsilon),
                k.at(k.asGlobal(in[1]), k.widen(row), k.f32()));
      });
    });
  });
}

} // namespace rshard::cuda
