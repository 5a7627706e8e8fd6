#include "rshard/runtime/Manifest.h"
#include "KernelJson.h"
#include "Packing.h"
#include "rshard/runtime/ABI.h"
#include "rshard/tokenset/Exchange.h"

#include <set>

namespace rshard::runtime {
using nlohmann::json;

namespace {

// In the order of RowClass.
constexpr std::array<std::string_view, 18> rowClasses{
    "client",       "comp",       "pool_enter", "pool_query", "pool_key",
    "pool_partial", "pool_leave", "send_enter", "send_query", "send_key",
    "send_partial", "send_leave", "wanted",     "cache",      "client_cache",
    "positions",    "rank",       "workspace"};
constexpr std::array<std::string_view, 3> maskKinds{"full", "causal", "window"};

using Range = std::optional<std::pair<int64_t, int64_t>>;

json rangeJson(const Range &range) {
  return range ? json::array({range->first, range->second}) : json();
}

void readRange(JsonFields &fields, const char *key, Range &out) {
  const json *value = fields.at(key);
  if (!value || value->is_null())
    return;
  std::vector<int64_t> ends;
  fields.read(key, ends);
  if (ends.size() != 2 || ends[0] < 0 || ends[0] >= ends[1])
    return fields.fail(key,
                       "is not a range [begin, end) with 0 <= begin < end");
  out = {ends[0], ends[1]};
}

/// Bounded so that products of two sizes cannot overflow.
void readPositive(JsonFields &fields, const char *key, int64_t &out) {
  fields.read(key, out, 1, INT32_MAX);
}

json modelJson(const ModelInfo &model) {
  json masks = json::array();
  for (const tokenset::Mask &mask : model.masks)
    masks.push_back({{"kind", maskKinds[static_cast<size_t>(mask.kind)]},
                     {"window", mask.window}});
  json out = {{"architecture", model.architecture},
              {"leave_width", model.leaveWidth},
              {"heads", model.heads},
              {"kv_heads", model.kvHeads},
              {"head_size", model.headSize},
              {"layers", model.layers},
              {"masks", std::move(masks)},
              {"layer_mask", model.layerMask},
              {"max_positions", model.maxPositions},
              {"bidirectional", model.bidirectional},
              {"has_head", model.hasHead},
              {"end_tokens", model.endTokens}};
  if (model.attentionOnly)
    out["attention_only"] = true;
  else
    out["vocabulary"] = model.vocabulary;
  return out;
}

void readModel(const json &value, std::string &error, ModelInfo &out) {
  JsonFields fields(value, "model.", error);
  fields.read("architecture", out.architecture);
  if (fields.has("attention_only"))
    fields.read("attention_only", out.attentionOnly);
  if (!out.attentionOnly)
    readPositive(fields, "vocabulary", out.vocabulary);
  readPositive(fields, "leave_width", out.leaveWidth);
  readPositive(fields, "heads", out.heads);
  readPositive(fields, "kv_heads", out.kvHeads);
  readPositive(fields, "head_size", out.headSize);
  readPositive(fields, "layers", out.layers);
  fields.each("masks", [&](const json &item, std::string path) {
    JsonFields mask(item, path, error);
    tokenset::Mask &spec = out.masks.emplace_back();
    mask.read("kind", maskKinds, spec.kind);
    mask.read("window", spec.window);
    if ((spec.kind == tokenset::MaskKind::Window) != (spec.window > 0))
      mask.fail("window", "is " + std::to_string(spec.window) +
                              ", which does not go with the kind");
    mask.finish();
  });
  fields.read("layer_mask", out.layerMask);
  readPositive(fields, "max_positions", out.maxPositions);
  fields.read("bidirectional", out.bidirectional);
  fields.read("has_head", out.hasHead);
  fields.read("end_tokens", out.endTokens);
  fields.finish();
  if (out.masks.empty())
    fields.fail("masks", "is empty");
  if (out.attentionOnly && out.layers != 1)
    fields.fail("layers", "is " + std::to_string(out.layers) +
                              ", an attention-only program has 1");
  if (out.layerMask.size() != static_cast<size_t>(out.layers))
    fields.fail("layer_mask", "has " + std::to_string(out.layerMask.size()) +
                                  " entries for " + std::to_string(out.layers) +
                                  " layers");
  for (int32_t mask : out.layerMask)
    if (mask < 0 || static_cast<size_t>(mask) >= out.masks.size())
      fields.fail("layer_mask", "names mask class " + std::to_string(mask) +
                                    " of " + std::to_string(out.masks.size()));
}

void readBuffer(const json &item, std::string path, std::string &error,
                BufferSpec &out) {
  JsonFields fields(item, std::move(path), error);
  fields.read("name", out.name);
  fields.read("type", tokenset::elementTypeNames, out.type);
  readPositive(fields, "width", out.width);
  fields.read("rows", rowClasses, out.rows);
  fields.finish();
}

json partJson(const WeightPart &part) {
  return {{"tensor", part.tensor},
          {"shape", part.shape},
          {"slice_rows", rangeJson(part.sliceRows)},
          {"slice_columns", rangeJson(part.sliceColumns)},
          {"transposed", part.transposed}};
}

json weightJson(const WeightSpec &weight) {
  json parts = json::array();
  for (const WeightPart &part : weight.parts)
    parts.push_back(partJson(part));
  return {{"symbol", weight.symbol},
          {"layers", rangeJson(weight.layers)},
          {"slot", weight.slot},
          {"pack", weight.pack},
          {"parts", std::move(parts)},
          {"scale", weight.scale ? partJson(*weight.scale) : json()}};
}

void readPart(JsonFields &fields, bool perLayer, WeightPart &out) {
  fields.read("tensor", out.tensor);
  fields.read("shape", out.shape);
  readRange(fields, "slice_rows", out.sliceRows);
  readRange(fields, "slice_columns", out.sliceColumns);
  fields.read("transposed", out.transposed);
  fields.finish();
  if (perLayer != (out.tensor.find("{}") != std::string::npos))
    fields.fail("tensor", "is \"" + out.tensor +
                              "\": \"{}\" and a range of layers go together");
  for (int64_t extent : out.shape)
    if (extent < 1 || extent > INT32_MAX)
      fields.fail("shape", "has the dimension " + std::to_string(extent));
}

void readWeight(const json &item, std::string path, std::string &error,
                WeightSpec &out) {
  JsonFields fields(item, std::move(path), error);
  fields.read("symbol", out.symbol);
  readRange(fields, "layers", out.layers);
  fields.read("slot", out.slot);
  fields.read("pack", out.pack);
  fields.each("parts", [&](const json &inner, std::string innerPath) {
    JsonFields part(inner, std::move(innerPath), error);
    readPart(part, out.layers.has_value(), out.parts.emplace_back());
  });
  if (const json *scale = fields.at("scale"); scale && !scale->is_null()) {
    JsonFields part(*scale, fields.pathOf("scale."), error);
    readPart(part, out.layers.has_value(), out.scale.emplace());
  }
  fields.finish();
  if (out.slot < 0 || out.slot > INT32_MAX ||
      (out.layers && out.layers->second > INT32_MAX))
    fields.fail("slot", "is out of range");
  if (Expected<void> fits = checkPack(out); !fits)
    fields.fail("pack", fits.error().message);
}

} // namespace

std::string_view rowClassName(RowClass rows) {
  return rowClasses[static_cast<size_t>(rows)];
}

std::optional<RowClass> rowClassFromName(std::string_view name) {
  auto at = std::find(rowClasses.begin(), rowClasses.end(), name);
  if (at == rowClasses.end())
    return std::nullopt;
  return static_cast<RowClass>(at - rowClasses.begin());
}

std::string Manifest::toJson() const {
  json out = json::object();
  out["abi"] = abi;
  out["producer"] = producer;
  out["model"] = modelJson(model);
  out["target"] = {{"name", target.name},
                   {"cpu", target.cpu},
                   {"features", target.features},
                   {"chip", target.chip}};
  out["hashes"] = {
      {"model", hashes.model}, {"content", hashes.content}, {"ir", hashes.ir}};
  out["plan"] = plan;
  out["tables"] = tables;
  out["host_tables"] = hostTables;
  json list = json::array();
  for (const KernelSpec &kernel : kernels)
    list.push_back(kernelJson(kernel));
  out["kernels"] = std::move(list);
  list = json::array();
  for (const BufferSpec &buffer : buffers)
    list.push_back({{"name", buffer.name},
                    {"type", tokenset::elementTypeName(buffer.type)},
                    {"width", buffer.width},
                    {"rows", rowClassName(buffer.rows)}});
  out["buffers"] = std::move(list);
  list = json::array();
  for (const WeightSpec &weight : weights)
    list.push_back(weightJson(weight));
  out["weights"] = std::move(list);
  list = json::array();
  for (const RopeSpec &spec : rope)
    list.push_back({{"name", spec.name},
                    {"inverse_frequencies", spec.inverseFrequencies},
                    {"scale", spec.scale}});
  out["rope"] = std::move(list);
  list = json::array();
  for (const ExchangeSpec &exchange : exchanges) {
    json tensors = json::array();
    for (const ExchangeTensor &tensor : exchange.tensors)
      tensors.push_back({{"name", tensor.name},
                         {"width", tensor.width},
                         {"type", tokenset::elementTypeName(tensor.type)},
                         {"pack", tensor.pack},
                         {"positions", tensor.positions}});
    list.push_back({{"name", exchange.name},
                    {"transfer", exchange.transfer},
                    {"tensors", std::move(tensors)}});
  }
  out["exchanges"] = std::move(list);
  return canonicalJson(out);
}

Expected<Manifest> Manifest::fromJson(std::string_view text) {
  Expected<json> parsed = parseStrictJson(text);
  if (!parsed)
    return Error{"manifest: " + parsed.error().message};
  Manifest out;
  std::string error;
  JsonFields fields(*parsed, "", error);
  fields.read("abi", out.abi);
  // Another interface has other fields: they would be called unknown.
  if (error.empty() && out.abi != RSHARD_ABI_VERSION)
    return Error{"artifact for runtime interface " + std::to_string(out.abi) +
                 ", this is " + std::to_string(RSHARD_ABI_VERSION) +
                 ": compile the model again"};
  fields.read("producer", out.producer);
  if (const json *model = fields.at("model"))
    readModel(*model, error, out.model);
  if (const json *value = fields.at("target")) {
    JsonFields target(*value, "target.", error);
    target.read("name", out.target.name);
    target.read("cpu", out.target.cpu);
    target.read("features", out.target.features);
    target.read("chip", out.target.chip);
    target.finish();
  }
  if (const json *value = fields.at("hashes")) {
    JsonFields hashes(*value, "hashes.", error);
    hashes.read("model", out.hashes.model);
    hashes.read("content", out.hashes.content);
    hashes.read("ir", out.hashes.ir);
    hashes.finish();
  }
  fields.read("plan", out.plan);
  fields.read("tables", out.tables);
  fields.read("host_tables", out.hostTables);
  fields.each("kernels", [&](const json &item, std::string path) {
    out.kernels.push_back(readKernel(item, std::move(path), error));
  });
  fields.each("buffers", [&](const json &item, std::string path) {
    readBuffer(item, std::move(path), error, out.buffers.emplace_back());
  });
  fields.each("weights", [&](const json &item, std::string path) {
    readWeight(item, std::move(path), error, out.weights.emplace_back());
  });
  fields.each("rope", [&](const json &item, std::string path) {
    JsonFields rope(item, std::move(path), error);
    RopeSpec &spec = out.rope.emplace_back();
    rope.read("name", spec.name);
    rope.read("inverse_frequencies", spec.inverseFrequencies);
    rope.read("scale", spec.scale);
    rope.finish();
  });
  fields.each("exchanges", [&](const json &item, std::string path) {
    JsonFields exchange(item, std::move(path), error);
    ExchangeSpec &spec = out.exchanges.emplace_back();
    exchange.read("name", spec.name);
    exchange.read("transfer", spec.transfer);
    exchange.each("tensors", [&](const json &inner, std::string innerPath) {
      JsonFields tensor(inner, std::move(innerPath), error);
      ExchangeTensor &entry = spec.tensors.emplace_back();
      tensor.read("name", entry.name);
      readPositive(tensor, "width", entry.width);
      tensor.read("type", tokenset::elementTypeNames, entry.type);
      tensor.read("pack", entry.pack);
      tensor.read("positions", entry.positions);
      tensor.finish();
    });
    exchange.finish();
  });
  fields.finish();

  std::set<std::string> names;
  for (const BufferSpec &buffer : out.buffers)
    if (!names.insert(buffer.name).second)
      fields.fail("buffers", "name \"" + buffer.name + "\" twice");
  names.clear();
  for (const std::string &table : out.tables)
    if (!names.insert(table).second)
      fields.fail("tables", "name \"" + table + "\" twice");
  for (const std::string &table : out.hostTables)
    if (names.erase(table) == 0)
      fields.fail("host_tables",
                  "name \"" + table + "\", which is not in tables, or twice");
  names.clear();
  for (const KernelSpec &kernel : out.kernels)
    if (!names.insert(kernel.name).second)
      fields.fail("kernels", "name \"" + kernel.name + "\" twice");
  if (out.target.name == "cuda" ? out.target.chip.empty()
                                : !out.target.chip.empty())
    fields.fail("target", "is " + out.target.name + " with the chip \"" +
                              out.target.chip + "\"");
  if (out.target.name != "cuda" &&
      !(out.kernels.empty() && out.hostTables.empty()))
    fields.fail("kernels", "and host_tables belong to the target cuda");
  std::set<int64_t> slots;
  for (const WeightSpec &weight : out.weights)
    if (weight.layers && weight.layers->second > out.model.layers)
      fields.fail("weights", "are of layers up to " +
                                 std::to_string(weight.layers->second) +
                                 ", the model has " +
                                 std::to_string(out.model.layers));
  for (const WeightSpec &weight : out.weights)
    for (int64_t i = 0, n = weight.layers
                                ? weight.layers->second - weight.layers->first
                                : 1;
         error.empty() && i != n; ++i)
      if (!slots.insert(weight.slot + i).second)
        fields.fail("weights",
                    "use slot " + std::to_string(weight.slot + i) + " twice");
  if (!slots.empty() && *slots.rbegin() + 1 != std::ssize(slots))
    fields.fail("weights", "use " + std::to_string(slots.size()) +
                               " slots and not the first ones alone, but " +
                               std::to_string(*slots.rbegin()) + " too");
  for (const RopeSpec &spec : out.rope) {
    auto buffer =
        std::find_if(out.buffers.begin(), out.buffers.end(),
                     [&](const BufferSpec &b) { return b.name == spec.name; });
    if (buffer == out.buffers.end() || buffer->rows != RowClass::Positions ||
        buffer->type != ElementType::F32 ||
        buffer->width !=
            2 * static_cast<int64_t>(spec.inverseFrequencies.size()))
      fields.fail("rope",
                  "table \"" + spec.name +
                      "\" has no f32 buffer of class positions and width " +
                      std::to_string(2 * spec.inverseFrequencies.size()));
  }
  if (!error.empty())
    return Error{"manifest: " + error};
  return out;
}

int64_t Manifest::weightSlots() const {
  int64_t slots = 0;
  for (const WeightSpec &weight : weights)
    slots = std::max(
        slots,
        weight.slot +
            (weight.layers ? weight.layers->second - weight.layers->first : 1));
  return slots;
}

std::vector<ExchangeSpec> standardExchanges(const ModelInfo &model,
                                            const tokenset::RowTypes &types) {
  using tokenset::RowContent;
  auto shape = [&](RowContent content) -> std::pair<int64_t, ElementType> {
    switch (content) {
    case RowContent::Enter:
      return {model.enterWidth(), types.activations};
    case RowContent::Leave:
      return {model.leaveWidth, types.activations};
    case RowContent::Query:
      return {model.heads * model.headSize, types.activations};
    case RowContent::Key:
      return {model.kvHeads * model.headSize, types.activations};
    case RowContent::Output:
      return {model.heads * model.headSize, types.partials};
    case RowContent::Lse:
      break;
    }
    return {model.heads, ElementType::F32};
  };
  std::vector<ExchangeSpec> list;
  for (const tokenset::Exchange &exchange :
       tokenset::listExchanges(model.masks.size())) {
    ExchangeSpec &spec = list.emplace_back();
    spec.name = exchange.name;
    spec.transfer = exchange.transfer;
    for (const tokenset::ExchangeTensor &tensor : exchange.tensors) {
      auto [width, type] = shape(tensor.content);
      spec.tensors.push_back({std::string(tensor.name), width, type,
                              tensor.pack, tensor.positions});
    }
  }
  return list;
}

} // namespace rshard::runtime
