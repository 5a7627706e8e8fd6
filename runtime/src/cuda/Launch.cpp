#include "Launch.h"

#include <algorithm>
#include <string>

namespace rshard::runtime::cuda {

namespace {

/// CUtensorMapDataType
int mapType(ElementType type) {
  switch (type) {
  case ElementType::I32:
    return 3;
  case ElementType::F16:
    return 6;
  case ElementType::BF16:
    return 9;
  case ElementType::F32:
    return 7;
  }
  return -1;
}

/// CUtensorMapSwizzle
int mapSwizzle(int64_t bytes) {
  return bytes == 128 ? 3 : bytes == 64 ? 2 : bytes == 32 ? 1 : 0;
}
constexpr int noInterleave = 0, promoteTo128Bytes = 2, fillWithZeros = 0;

int64_t sizeOf(const KernelSize &size,
               std::span<const rshard_argument> arguments) {
  return size.argument < 0
             ? size.factor
             : size.factor * arguments[static_cast<size_t>(size.argument)].rows;
}

Result encode(const DriverApi &api, const KernelParameter &parameter,
              std::span<const rshard_argument> arguments, TensorMap &map) {
  constexpr size_t most = 5;
  uint64_t extents[most], strides[most];
  uint32_t box[most], ones[most];
  size_t rank = parameter.extents.size();
  for (size_t i = 0; i != rank; ++i) {
    extents[i] = static_cast<uint64_t>(
        std::max<int64_t>(sizeOf(parameter.extents[i], arguments), 1));
    box[i] = static_cast<uint32_t>(parameter.box[i]);
    ones[i] = 1;
  }
  for (size_t i = 0; i + 1 < rank; ++i)
    strides[i] = static_cast<uint64_t>(sizeOf(parameter.strides[i], arguments));
  return api.encodeTiled(
      &map, mapType(parameter.type), static_cast<uint32_t>(rank),
      arguments[static_cast<size_t>(parameter.argument)].data, extents, strides,
      box, ones, noInterleave, mapSwizzle(parameter.swizzle), promoteTo128Bytes,
      fillWithZeros);
}

} // namespace

void Launch::reserve(std::span<const KernelSpec> kernels) {
  size_t most = 0;
  for (const KernelSpec &spec : kernels)
    most = std::max(most, spec.parameters.size());
  values.reserve(most);
  pointers.reserve(most);
}

Expected<void> Launch::derive(const DriverApi &api, const KernelSpec &spec,
                              std::span<const rshard_argument> arguments,
                              int multiprocessors) {
  auto refuse = [&](const std::string &what) {
    return Error{"kernel " + spec.name + ": " + what};
  };
  grid = 0;
  if (static_cast<int64_t>(arguments.size()) < spec.arguments())
    return refuse(std::to_string(arguments.size()) + " arguments, it takes " +
                  std::to_string(spec.arguments()));
  int64_t blocks = spec.blocks;
  for (const KernelSpec::Blocks &factor : spec.grid) {
    int64_t value = arguments[static_cast<size_t>(factor.argument)].rows;
    if (value < 0 ||
        __builtin_mul_overflow(blocks, (value + factor.per - 1) / factor.per,
                               &blocks))
      return refuse("argument " + std::to_string(factor.argument) + " is " +
                    std::to_string(value));
  }
  if (spec.resident != 0)
    blocks = std::min(blocks, spec.resident * multiprocessors);
  if (blocks > INT32_MAX)
    return refuse(std::to_string(blocks) + " blocks, a grid has at most " +
                  std::to_string(INT32_MAX));
  if (blocks == 0)
    return {};
  // Not resized: the values' addresses are handed out.
  values.resize(spec.parameters.size());
  pointers.clear();
  for (size_t i = 0; i != spec.parameters.size(); ++i) {
    const KernelParameter &parameter = spec.parameters[i];
    const rshard_argument &argument =
        arguments[static_cast<size_t>(parameter.argument)];
    switch (parameter.kind) {
    case ParameterKind::Pointer:
      values[i].address = reinterpret_cast<uintptr_t>(argument.data);
      break;
    case ParameterKind::Rows:
    case ParameterKind::Scalar:
      values[i].number = static_cast<int32_t>(argument.rows);
      break;
    case ParameterKind::Map:
      if (auto encoded = api.check(
              encode(api, parameter, arguments, values[i].map), "tensor map");
          !encoded)
        return refuse(encoded.error().message + " of argument " +
                      std::to_string(parameter.argument) + " with " +
                      std::to_string(argument.rows) + " rows");
      break;
    }
    pointers.push_back(&values[i]);
  }
  grid = static_cast<uint32_t>(blocks);
  return {};
}

} // namespace rshard::runtime::cuda
