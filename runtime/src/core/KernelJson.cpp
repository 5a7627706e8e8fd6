#include "KernelJson.h"

#include <algorithm>

namespace rshard::runtime {
using nlohmann::json;

namespace {

constexpr std::array<std::string_view, 4> parameterKinds{"pointer", "rows",
                                                         "scalar", "map"};

// CUDA programming guide, technical specifications of compute capability 9.0.
constexpr int64_t maxThreads = 1024, maxShared = 232448, maxResident = 32;
// CUDA driver API, cuTensorMapEncodeTiled.
constexpr int64_t maxDimensions = 5, maxBox = 256, maxExtent = int64_t(1) << 32,
                  maxStride = int64_t(1) << 40, strideUnit = 16;

json sizesJson(const std::vector<KernelSize> &sizes) {
  json list = json::array();
  for (const KernelSize &size : sizes)
    list.push_back(size.argument < 0 ? json(size.factor)
                                     : json({{"argument", size.argument},
                                             {"times", size.factor}}));
  return list;
}

void readArgument(JsonFields &fields, int32_t &out) {
  int64_t value = 0;
  fields.read("argument", value, 0, maxKernelArguments - 1);
  out = static_cast<int32_t>(value);
}

/// An integer, or an argument's value times one.
void readSizes(JsonFields &fields, const char *key, std::string &error,
               int64_t unit, int64_t most, std::vector<KernelSize> &out) {
  fields.each(key, [&](const json &item, std::string path) {
    KernelSize &size = out.emplace_back();
    if (item.is_object()) {
      JsonFields inner(item, std::move(path), error);
      readArgument(inner, size.argument);
      inner.read("times", size.factor, unit, most);
      inner.finish();
    } else if (item.is_number_integer()) {
      size.factor = item.get<int64_t>();
    } else {
      return fields.fail(key, "has an element of the wrong type");
    }
    if (size.factor < unit || size.factor > most || size.factor % unit != 0)
      fields.fail(key, "has the size " + std::to_string(size.factor) +
                           ", a multiple of " + std::to_string(unit) +
                           " up to " + std::to_string(most) + " is allowed");
  });
}

void readMap(JsonFields &fields, std::string &error, KernelParameter &out) {
  fields.read("type", tokenset::elementTypeNames, out.type);
  readSizes(fields, "extents", error, 1, maxExtent, out.extents);
  readSizes(fields, "strides", error, strideUnit, maxStride - strideUnit,
            out.strides);
  fields.read("box", out.box);
  fields.read("swizzle", out.swizzle);
  if (out.type == ElementType::I32)
    fields.fail("type", "is i32, f32, bf16 or f16 is allowed");
  int64_t dimensions = static_cast<int64_t>(out.extents.size());
  if (dimensions < 1 || dimensions > maxDimensions)
    fields.fail("extents", "has " + std::to_string(dimensions) +
                               " dimensions, 1 to " +
                               std::to_string(maxDimensions) + " are allowed");
  if (static_cast<int64_t>(out.strides.size()) != dimensions - 1)
    fields.fail("strides", "has " + std::to_string(out.strides.size()) +
                               " entries for " + std::to_string(dimensions) +
                               " dimensions");
  if (static_cast<int64_t>(out.box.size()) != dimensions)
    fields.fail("box", "has " + std::to_string(out.box.size()) +
                           " entries for " + std::to_string(dimensions) +
                           " dimensions");
  for (int64_t size : out.box)
    if (size < 1 || size > maxBox)
      fields.fail("box", "has the size " + std::to_string(size) + ", 1 to " +
                             std::to_string(maxBox) + " is allowed");
  if (out.swizzle != 0 && out.swizzle != 32 && out.swizzle != 64 &&
      out.swizzle != 128)
    fields.fail("swizzle", "is " + std::to_string(out.swizzle) +
                               ", 0, 32, 64 or 128 is allowed");
  if (out.box.empty())
    return;
  int64_t inner = out.box[0] * tokenset::elementBytes(out.type);
  if (inner % strideUnit != 0 || (out.swizzle != 0 && inner > out.swizzle))
    fields.fail("box", "has rows of " + std::to_string(inner) +
                           " bytes, a multiple of " +
                           std::to_string(strideUnit) +
                           " within the swizzle is allowed");
}

json parameterJson(const KernelParameter &parameter) {
  json out = {{"kind", parameterKinds[static_cast<size_t>(parameter.kind)]},
              {"argument", parameter.argument}};
  if (parameter.kind == ParameterKind::Map) {
    out["type"] = tokenset::elementTypeName(parameter.type);
    out["extents"] = sizesJson(parameter.extents);
    out["strides"] = sizesJson(parameter.strides);
    out["box"] = parameter.box;
    out["swizzle"] = parameter.swizzle;
  }
  return out;
}

} // namespace

json kernelJson(const KernelSpec &kernel) {
  json grid = json::array(), parameters = json::array();
  for (const KernelSpec::Blocks &factor : kernel.grid)
    grid.push_back({factor.argument, factor.per});
  for (const KernelParameter &parameter : kernel.parameters)
    parameters.push_back(parameterJson(parameter));
  return {{"name", kernel.name},
          {"threads", kernel.threads},
          {"shared", kernel.shared},
          {"blocks", kernel.blocks},
          {"resident", kernel.resident},
          {"grid", std::move(grid)},
          {"parameters", std::move(parameters)}};
}

KernelSpec readKernel(const json &value, std::string path, std::string &error) {
  KernelSpec out;
  JsonFields fields(value, std::move(path), error);
  fields.read("name", out.name);
  fields.read("threads", out.threads, 1, maxThreads);
  fields.read("shared", out.shared, 0, maxShared);
  fields.read("blocks", out.blocks, 1, INT32_MAX);
  fields.read("resident", out.resident, 0, maxResident);
  fields.each("grid", [&](const json &item, std::string) {
    if (!item.is_array() || item.size() != 2 || !item[0].is_number_integer() ||
        !item[1].is_number_integer())
      return fields.fail("grid", "has an entry that is not [argument, per]");
    int64_t argument = item[0].get<int64_t>(), per = item[1].get<int64_t>();
    if (argument < 0 || argument >= maxKernelArguments || per < 1 ||
        per > INT32_MAX)
      return fields.fail("grid", "has the entry [" + std::to_string(argument) +
                                     ", " + std::to_string(per) + "]");
    out.grid.push_back({static_cast<int32_t>(argument), per});
  });
  fields.each("parameters", [&](const json &item, std::string inner) {
    JsonFields parameter(item, std::move(inner), error);
    KernelParameter &spec = out.parameters.emplace_back();
    parameter.read("kind", parameterKinds, spec.kind);
    readArgument(parameter, spec.argument);
    if (spec.kind == ParameterKind::Map)
      readMap(parameter, error, spec);
    parameter.finish();
  });
  fields.finish();
  if (out.name.empty())
    fields.fail("name", "is empty");
  if (out.threads % 32 != 0)
    fields.fail("threads", "is " + std::to_string(out.threads) +
                               ", a multiple of 32 is allowed");
  return out;
}

int32_t KernelSpec::arguments() const {
  int32_t last = -1;
  auto use = [&](int32_t argument) { last = std::max(last, argument); };
  for (const Blocks &factor : grid)
    use(factor.argument);
  for (const KernelParameter &parameter : parameters) {
    use(parameter.argument);
    for (const std::vector<KernelSize> *sizes :
         {&parameter.extents, &parameter.strides})
      for (const KernelSize &size : *sizes)
        use(size.argument);
  }
  return last + 1;
}

} // namespace rshard::runtime
