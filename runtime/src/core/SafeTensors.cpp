#include "rshard/runtime/SafeTensors.h"
#include "StrictJson.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>

namespace rshard::runtime {
using nlohmann::json;
namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little,
              "safetensors is read in place");

namespace {

struct TypeInfo {
  std::string_view name;
  uint32_t size;
};
// In the order of DType.
constexpr std::array<TypeInfo, 15> types{{{"BOOL", 1},
                                          {"U8", 1},
                                          {"I8", 1},
                                          {"F8_E4M3", 1},
                                          {"F8_E5M2", 1},
                                          {"I16", 2},
                                          {"U16", 2},
                                          {"F16", 2},
                                          {"BF16", 2},
                                          {"I32", 4},
                                          {"U32", 4},
                                          {"F32", 4},
                                          {"I64", 8},
                                          {"U64", 8},
                                          {"F64", 8}}};

/// The format's own limit, so that a lying length cannot make us parse
/// gigabytes.
constexpr uint64_t maxHeader = 100'000'000;

std::string inQuotes(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

Expected<uint64_t> offsetFrom(const json &value, const std::string &where) {
  if (!value.is_number_unsigned())
    return Error{where +
                 " is not a non-negative integer: " + canonicalJson(value)};
  return *value.get_ptr<const uint64_t *>();
}

/// One entry of the header. `region` is what follows the header.
Expected<Tensor> readEntry(const std::string &name, const json &entry,
                           const std::string &where,
                           std::span<const std::byte> region) {
  if (!entry.is_object())
    return Error{where + ": entry is not an object"};
  for (auto field = entry.begin(); field != entry.end(); ++field)
    if (field.key() != "dtype" && field.key() != "shape" &&
        field.key() != "data_offsets")
      return Error{where + ": unknown field " + inQuotes(field.key())};
  auto dtype = entry.find("dtype"), shape = entry.find("shape"),
       offsets = entry.find("data_offsets");
  if (dtype == entry.end() || !dtype->is_string())
    return Error{where + ": dtype is missing or not a string"};
  if (shape == entry.end() || !shape->is_array())
    return Error{where + ": shape is missing or not an array"};
  if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2)
    return Error{where + ": data_offsets is missing or not an array of two"};

  Tensor tensor;
  tensor.name = name;
  const std::string &typeName = dtype->get_ref<const std::string &>();
  auto known = std::find_if(types.begin(), types.end(),
                            [&](auto &t) { return t.name == typeName; });
  if (known == types.end())
    return Error{where + ": unknown dtype " + inQuotes(typeName)};
  tensor.type = static_cast<DType>(known - types.begin());

  uint64_t required = known->size;
  bool empty = false, overflow = false;
  for (const json &dimension : *shape) {
    Expected<uint64_t> extent =
        offsetFrom(dimension, where + ": a dimension of the shape");
    if (!extent)
      return extent.error();
    if (*extent > static_cast<uint64_t>(INT64_MAX))
      return Error{where + ": dimension " + std::to_string(*extent) +
                   " does not fit 63 bits"};
    tensor.shape.push_back(static_cast<int64_t>(*extent));
    empty |= *extent == 0;
    overflow |= __builtin_mul_overflow(required, *extent, &required);
  }
  if (empty)
    required = 0;
  else if (overflow || required > static_cast<uint64_t>(INT64_MAX))
    return Error{where + ": size of shape " + tensor.shapeText() +
                 " overflows"};

  Expected<uint64_t> begin =
      offsetFrom((*offsets)[0], where + ": data_offsets begin");
  if (!begin)
    return begin.error();
  Expected<uint64_t> end =
      offsetFrom((*offsets)[1], where + ": data_offsets end");
  if (!end)
    return end.error();
  std::string range =
      "[" + std::to_string(*begin) + ", " + std::to_string(*end) + "]";
  if (*begin > *end)
    return Error{where + ": data_offsets " + range + " end before they begin"};
  if (*end > region.size())
    return Error{where + ": data_offsets " + range +
                 " reach beyond the file's " + std::to_string(region.size()) +
                 " bytes of data"};
  if (*end - *begin != required)
    return Error{where + ": data_offsets " + range + " hold " +
                 std::to_string(*end - *begin) + " bytes, but " + typeName +
                 " " + tensor.shapeText() + " needs " +
                 std::to_string(required)};
  tensor.data = region.data() + *begin;
  tensor.bytes = required;
  return tensor;
}

/// Appends the tensors of one file to `out`, in order of their data.
Expected<void> readFile(const fs::path &path, const MappedFile &map,
                        uint32_t file, std::vector<Tensor> &out) {
  std::string name = path.string();
  std::span<const std::byte> bytes = map.bytes();
  if (bytes.size() < 8)
    return Error{name + ": " + std::to_string(bytes.size()) +
                 " bytes are too few for a safetensors file, whose header "
                 "length alone takes 8"};
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  if (length > maxHeader)
    return Error{name + ": header of " + std::to_string(length) +
                 " bytes, at most " + std::to_string(maxHeader) +
                 " are allowed: not a safetensors file, or damaged"};
  if (length > bytes.size() - 8)
    return Error{name + ": truncated: header of " + std::to_string(length) +
                 " bytes, but only " + std::to_string(bytes.size() - 8) +
                 " follow its length"};
  std::string_view text = map.text().substr(8, length);
  // Valid JSON that begins so is an object.
  if (text.empty() || text.front() != '{')
    return Error{name + ": header does not begin with '{'"};
  Expected<json> header = parseStrictJson(text);
  if (!header)
    return Error{name + ": header: " + header.error().message};

  std::span<const std::byte> region = bytes.subspan(8 + length);
  size_t first = out.size();
  for (auto item = header->begin(); item != header->end(); ++item) {
    if (item.key() == "__metadata__") {
      if (!item->is_object())
        return Error{name + ": __metadata__ is not an object"};
      for (auto &value : *item)
        if (!value.is_string())
          return Error{name +
                       ": __metadata__ holds a value that is not a string"};
      continue;
    }
    Expected<Tensor> tensor = readEntry(
        item.key(), *item, name + ": tensor " + inQuotes(item.key()), region);
    if (!tensor)
      return tensor.error();
    tensor->file = file;
    out.push_back(std::move(*tensor));
  }

  // Every byte of data belongs to exactly one tensor. Empty tensors come first
  // at their offset.
  std::sort(out.begin() + first, out.end(),
            [](const Tensor &a, const Tensor &b) {
              return std::tie(a.data, a.bytes, a.name) <
                     std::tie(b.data, b.bytes, b.name);
            });
  uint64_t covered = 0;
  for (size_t i = first; i != out.size(); ++i) {
    const Tensor &tensor = out[i];
    uint64_t begin = static_cast<uint64_t>(tensor.data - region.data());
    std::string where = name + ": tensor " + inQuotes(tensor.name) +
                        " begins at byte " + std::to_string(begin) +
                        " of the data, ";
    if (begin < covered)
      return Error{where + "inside tensor " + inQuotes(out[i - 1].name) +
                   ", which ends at " + std::to_string(covered)};
    if (begin > covered)
      return Error{where + "but the data before it ends at " +
                   std::to_string(covered) + ": the format allows no holes"};
    covered = begin + tensor.bytes;
  }
  if (covered != region.size())
    return Error{name + ": tensors cover " + std::to_string(covered) + " of " +
                 std::to_string(region.size()) + " bytes of data"};
  return {};
}

/// Tensor name -> shard, from an index file.
Expected<std::map<std::string, std::string>> readIndex(const fs::path &path) {
  Expected<MappedFile> map = MappedFile::open(path);
  if (!map)
    return map.error();
  Expected<json> index = parseStrictJson(map->text());
  if (!index)
    return Error{path.string() + ": " + index.error().message};
  if (!index->is_object() || !index->contains("weight_map") ||
      !(*index)["weight_map"].is_object())
    return Error{path.string() + ": no object \"weight_map\""};
  std::map<std::string, std::string> result;
  const json &weights = (*index)["weight_map"];
  for (auto item = weights.begin(); item != weights.end(); ++item) {
    std::string where = path.string() + ": tensor " + inQuotes(item.key());
    if (!item->is_string())
      return Error{where + ": shard is not a string"};
    const std::string &shard = item->get_ref<const std::string &>();
    // A shard lies beside its index; anything else is an attempt to read
    // elsewhere.
    if (shard.empty() || shard == "." || shard == ".." ||
        shard.find('/') != std::string::npos ||
        shard.find('\0') != std::string::npos)
      return Error{where + ": shard " + inQuotes(shard) +
                   " is not a plain file name"};
    result.emplace(item.key(), shard);
  }
  if (result.empty())
    return Error{path.string() + ": \"weight_map\" names no tensor"};
  return result;
}

Expected<fs::path> locate(const fs::path &path) {
  std::error_code code;
  if (!fs::is_directory(path, code)) {
    if (!fs::exists(path, code))
      return Error{path.string() + ": no such file or directory"};
    return path;
  }
  for (const char *name : {"model.safetensors", "model.safetensors.index.json"})
    if (fs::exists(path / name, code))
      return path / name;
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(path, code), end; !code && entry != end;
       entry.increment(code))
    if (entry->path().extension() == ".safetensors")
      found.push_back(entry->path());
  if (found.size() == 1)
    return found.front();
  return Error{
      path.string() +
      ": holds neither model.safetensors nor model.safetensors.index.json" +
      (found.empty() ? ""
                     : ", and " + std::to_string(found.size()) +
                           " other .safetensors files: name the one to read")};
}

size_t sharedPrefix(std::string_view a, std::string_view b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
         a.begin();
}

} // namespace

std::string_view dtypeName(DType type) {
  return types[static_cast<size_t>(type)].name;
}
uint32_t dtypeSize(DType type) { return types[static_cast<size_t>(type)].size; }

int64_t Tensor::elements() const {
  return static_cast<int64_t>(bytes / dtypeSize(type));
}

std::string Tensor::shapeText() const {
  std::string text = "[";
  for (size_t i = 0; i != shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

Expected<SafeTensors> SafeTensors::open(const fs::path &given) {
  Expected<fs::path> path = locate(given);
  if (!path)
    return path.error();
  SafeTensors result;
  std::map<std::string, std::string> index;
  bool indexed = path->extension() == ".json";
  if (!indexed) {
    result.paths.push_back(*path);
  } else {
    Expected<std::map<std::string, std::string>> read = readIndex(*path);
    if (!read)
      return read.error();
    index = std::move(*read);
    std::vector<std::string> shards;
    for (auto &[tensor, shard] : index)
      shards.push_back(shard);
    std::sort(shards.begin(), shards.end());
    shards.erase(std::unique(shards.begin(), shards.end()), shards.end());
    for (auto &shard : shards)
      result.paths.push_back(path->parent_path() / shard);
  }

  for (uint32_t file = 0; file != result.paths.size(); ++file) {
    Expected<MappedFile> map = MappedFile::open(result.paths[file]);
    if (!map)
      return Error{indexed ? map.error().message + " (named by " +
                                 path->string() + ")"
                           : map.error().message};
    result.maps.push_back(std::move(*map));
    if (Expected<void> read =
            readFile(result.paths[file], result.maps.back(), file, result.all);
        !read)
      return read.error();
  }
  std::sort(result.all.begin(), result.all.end(),
            [](const Tensor &a, const Tensor &b) { return a.name < b.name; });

  if (indexed) {
    for (size_t i = 0; i != result.all.size(); ++i) {
      const Tensor &tensor = result.all[i];
      std::string shard = result.paths[tensor.file].filename().string();
      auto entry = index.find(tensor.name);
      if (entry == index.end() || entry->second != shard)
        return Error{path->string() + ": tensor " + inQuotes(tensor.name) +
                     " is in " + shard + ", but the index " +
                     (entry == index.end() ? "does not list it"
                                           : "places it in " + entry->second)};
    }
    for (auto &[name, shard] : index)
      if (!result.find(name))
        return Error{path->string() + ": tensor " + inQuotes(name) +
                     " is not in " + shard + ", where the index places it"};
  }
  return result;
}

SafeTensors SafeTensors::describe(std::vector<Tensor> tensors) {
  SafeTensors result;
  result.all = std::move(tensors);
  std::sort(result.all.begin(), result.all.end(),
            [](const Tensor &a, const Tensor &b) { return a.name < b.name; });
  return result;
}

const Tensor *SafeTensors::find(std::string_view name) const {
  auto at = std::lower_bound(
      all.begin(), all.end(), name,
      [](const Tensor &tensor, std::string_view n) { return tensor.name < n; });
  return at != all.end() && at->name == name ? &*at : nullptr;
}

Expected<const Tensor *> SafeTensors::get(std::string_view name) const {
  if (const Tensor *tensor = find(name))
    return tensor;
  std::string where = paths.size() == 1
                          ? paths.front().string()
                          : directory().string() + " (" +
                                std::to_string(paths.size()) + " files)";
  std::string message = where + ": no tensor " + inQuotes(name);
  const Tensor *nearest = nullptr;
  size_t best = 0;
  for (const Tensor &tensor : all)
    if (size_t shared = sharedPrefix(tensor.name, name); shared > best) {
      best = shared;
      nearest = &tensor;
    }
  if (nearest)
    message += "; the nearest is " + inQuotes(nearest->name);
  return Error{message};
}

fs::path SafeTensors::directory() const {
  return paths.empty() ? fs::path() : paths.front().parent_path();
}

} // namespace rshard::runtime
