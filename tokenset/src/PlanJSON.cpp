#include "rshard/tokenset/OpenTypes.h"
#include "rshard/tokenset/TextPlace.h"

#include <nlohmann/json.hpp>

#include <set>
#include <tuple>

namespace rshard::tokenset {
namespace {

using Json = nlohmann::ordered_json;

Error bad(const std::string &what) { return Error{"plan: " + what}; }

Expected<Partition> readFamily(const Json &plan, const char *key) {
  auto it = plan.find(key);
  if (it == plan.end())
    return bad("key `" + std::string(key) + "` is missing");
  if (!it->is_array())
    return bad("`" + std::string(key) + "` must be a list of token sets");
  std::vector<TokenSet> sets;
  for (const Json &entry : *it) {
    std::string where =
        std::string(key) + "[" + std::to_string(sets.size()) + "]";
    if (!entry.is_string())
      return bad("`" + where + "` must be a string such as `period 7: [0,2)`");
    auto set = TokenSet::parse(entry.get_ref<const std::string &>());
    if (!set)
      return bad(where + ": " + set.error().message);
    sets.push_back(std::move(*set));
  }
  auto family = Partition::create(key, std::move(sets));
  return family ? std::move(family) : bad(family.error().message);
}

Expected<std::vector<int32_t>> readNumbers(const Json &list, const char *key) {
  std::vector<int32_t> numbers;
  if (!list.is_array())
    return bad("`" + std::string(key) + "` must be a list of numbers");
  for (const Json &entry : list) {
    if (!entry.is_number_integer() || entry.get<int64_t>() < 0 ||
        entry.get<int64_t>() > std::numeric_limits<int32_t>::max())
      return bad("`" + std::string(key) + "[" + std::to_string(numbers.size()) +
                 "]` is " + entry.dump() +
                 ", it must be a number from 0 to 2147483647");
    numbers.push_back(entry.get<int32_t>());
  }
  return numbers;
}

/// `open`: the names of types that the object does not have.
Expected<RowTypes> readTypes(const Json &object, const OpenTypes &open,
                             int64_t keyShards) {
  if (!object.is_object())
    return bad("`types` must be an object such as {\"activations\": \"bf16\"}");
  std::string activations = open.activations, partials = open.partials;
  for (const auto &[key, value] : object.items()) {
    std::string *into = key == "activations" ? &activations
                        : key == "partials"  ? &partials
                                             : nullptr;
    if (!into)
      return bad("unknown key `types." + key +
                 "`: the keys are activations and partials");
    if (!value.is_string())
      return bad("`types." + key + "` is " + value.dump() +
                 ", it must be a string such as `bf16`");
    *into = value.get<std::string>();
  }
  if (partials.empty())
    partials = usualPartials(activations, keyShards);
  auto types = parseRowTypes(activations, partials);
  return types ? std::move(types) : bad(types.error().message);
}

/// nlohmann keeps the last of two equal keys without a word: refuse them.
Expected<Json> readObject(std::string_view text) {
  // `types` alone holds an object: keys of both depths together are few.
  std::set<std::pair<int, std::string>> seen;
  std::string twice;
  auto watch = [&](int depth, Json::parse_event_t event, Json &value) {
    if (event == Json::parse_event_t::key &&
        !seen.insert({depth, value.get<std::string>()}).second)
      twice = value.get<std::string>();
    return true;
  };
  try {
    Json plan = Json::parse(text, watch);
    if (!plan.is_object())
      return bad("the file must hold one object");
    if (!twice.empty())
      return bad("key `" + twice + "` is given twice");
    return plan;
  } catch (const Json::parse_error &error) {
    // The library's own text repeats the input; the place is what a reader
    // needs.
    return bad("not valid JSON at " +
               describe(placeBehind(text, error.byte - 1)));
  }
}

} // namespace

std::string usualPartials(const std::string &activations, int64_t keyShards) {
  return keyShards == 1 ? activations : "f32";
}

Expected<Plan> parsePlan(std::string_view text) {
  return parsePlan(text, OpenTypes());
}

Expected<Plan> parsePlan(std::string_view text, const OpenTypes &open) {
  auto object = readObject(text);
  if (!object)
    return object.error();
  for (const auto &[key, value] : object->items())
    if (key != "R" && key != "S" && key != "T" && key != "client_layers" &&
        key != "types" && key != "ranks")
      return bad("unknown key `" + key +
                 "`: the keys are R, S, T, client_layers, types and ranks");
  Plan plan;
  for (auto [key, family] :
       {std::pair{"R", &plan.R}, {"S", &plan.S}, {"T", &plan.T}}) {
    auto read = readFamily(*object, key);
    if (!read)
      return read.error();
    *family = std::move(*read);
  }
  if (auto it = object->find("client_layers"); it != object->end()) {
    auto layers = readNumbers(*it, "client_layers");
    if (!layers)
      return layers.error();
    if (layers->size() != 2)
      return bad("`client_layers` has " + std::to_string(layers->size()) +
                 " numbers, it must have 2: first and last layers");
    plan.clientFirst = (*layers)[0];
    plan.clientLast = (*layers)[1];
  }
  auto types =
      readTypes(object->value("types", Json::object()), open, plan.keyShards());
  if (!types)
    return types.error();
  plan.types = *types;
  if (auto it = object->find("ranks"); it != object->end()) {
    auto ranks = readNumbers(*it, "ranks");
    if (!ranks)
      return ranks.error();
    plan.ranks = std::move(*ranks);
  } else if (int64_t(plan.queryShards()) * plan.keyShards() <= kRunLimit) {
    placeApart(plan);
  }
  if (auto status = validate(plan); !status)
    return bad(status.error().message);
  return plan;
}

Expected<Plan> parsePlan(std::string_view text, const AskedTypes &asked,
                         const std::string &usual) {
  auto plan =
      parsePlan(text, {asked.activations.empty() ? usual : asked.activations,
                       asked.partials});
  if (!plan)
    return plan;
  for (const auto &[what, type, has] :
       {std::tuple("activations", &asked.activations, plan->types.activations),
        {"partials", &asked.partials, plan->types.partials}})
    if (!type->empty() && *type != elementTypeName(has))
      return bad(std::string(what) + " are " +
                 std::string(elementTypeName(has)) + " vs " + *type +
                 ", which is asked for");
  return plan;
}

std::string printPlan(const Plan &plan) {
  auto sets = [](const Partition &family) {
    Json list = Json::array();
    for (const TokenSet &set : family.sets())
      list.push_back(set.print());
    return list;
  };
  std::string out = "{\n";
  auto family = [&](const char *key, const Partition &members) {
    out += std::string("  \"") + key + "\": " + sets(members).dump(2) + ",\n";
  };
  family("R", plan.R);
  family("S", plan.S);
  family("T", plan.T);
  out += "  \"client_layers\": " +
         Json({plan.clientFirst, plan.clientLast}).dump() + ",\n";
  // Always: without them whoever reads it may choose others.
  out += "  \"types\": " +
         Json{{"activations", elementTypeName(plan.types.activations)},
              {"partials", elementTypeName(plan.types.partials)}}
             .dump() +
         ",\n";
  // The ranks stay on one line: there is one per node.
  out += "  \"ranks\": " + Json(plan.ranks).dump() + "\n}\n";
  return out;
}

} // namespace rshard::tokenset
