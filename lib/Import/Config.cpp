//===- Config.cpp - a model's config.json ---------------------------------===//

#include "Config.h"
#include "rshard/runtime/MappedFile.h"
#include "rshard/tokenset/TextPlace.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <nlohmann/json.hpp>

using namespace mlir;
using namespace rshard;
using nlohmann::json;

static json parseJson(StringRef text) {
  return json::parse(text.begin(), text.end(), nullptr,
                     /*allow_exceptions=*/false);
}

namespace {
/// Finds the byte, counted from 1, at which a text stops being JSON.
struct ErrorFinder : nlohmann::detail::json_sax_acceptor<json> {
  size_t byte = 1;
  bool parse_error(size_t position, const std::string &,
                   const nlohmann::detail::exception &) {
    byte = position;
    return false;
  }
};
} // namespace

/// A value as messages show it: long ones are cut.
static std::string show(const json &value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60)
    text = text.substr(0, 57) + "...";
  return text;
}

std::optional<ConfigOverride> rshard::parseConfigOverride(StringRef text) {
  auto [key, value] = text.split('=');
  if (key.empty() || key.size() == text.size())
    return std::nullopt;
  return ConfigOverride{key.str(), value.str()};
}

Config::Config(Report &report, std::string path)
    : report(&report), path(std::move(path)) {}
Config::Config(Config &&) noexcept = default;
Config &Config::operator=(Config &&) noexcept = default;
Config::~Config() = default;

FailureOr<Config> Config::read(Report &report, const std::string &path,
                               ArrayRef<ConfigOverride> overrides) {
  auto file = runtime::MappedFile::open(path);
  if (!file) {
    // The message says which file.
    report.fail(UnknownLoc::get(report.getContext()), file.error().message);
    return failure();
  }
  Config config(report, path);
  config.text = file->text();
  config.root = std::make_unique<json>(parseJson(config.text));
  if (config.root->is_discarded()) {
    ErrorFinder finder;
    json::sax_parse(config.text, &finder);
    report.fail(config.locate(finder.byte - 1), "not valid JSON");
    return failure();
  }
  if (!config.root->is_object()) {
    report.fail(report.locate(path), Twine("the configuration is ") +
                                         config.root->type_name() +
                                         " vs a JSON object");
    return failure();
  }
  for (const ConfigOverride &override : overrides)
    config.override(override);
  if (report.hasFailed())
    return failure();
  return config;
}

void Config::override(const ConfigOverride &override) {
  json value = parseJson(override.value);
  if (value.is_discarded())
    value = override.value;
  json *at = root.get();
  for (StringRef part : llvm::split(override.key, '.')) {
    if (at->is_null())
      *at = json::object();
    if (!at->is_object())
      return report->fail(locate(override.key),
                          "cannot override " + override.key + ": '" + part +
                              "' would lie in " + at->type_name() +
                              " vs an object");
    at = &(*at)[part.str()];
  }
  *at = std::move(value);
  overridden.insert(override.key);
}

Location Config::locate(StringRef key) const {
  // The first place where the last part of the path is followed by a colon; a
  // nested key is looked for behind its parents.
  if (overridden.count(key))
    return UnknownLoc::get(report->getContext());
  size_t at = 0;
  StringRef all = text;
  for (StringRef part : llvm::split(key, '.')) {
    std::string quoted = ("\"" + part + "\"").str();
    for (at = all.find(quoted, at); at != StringRef::npos;
         at = all.find(quoted, at + 1))
      if (all.substr(at + quoted.size()).ltrim().starts_with(":"))
        break;
    if (at == StringRef::npos)
      return report->locate(path);
  }
  return locate(at);
}

Location Config::locate(size_t byte) const {
  tokenset::TextPlace place = tokenset::placeBehind(text, byte);
  return report->locate(path, place.line, place.column);
}

/// The value at a path, null included.
static const json *descend(const json *at, StringRef key) {
  for (StringRef part : llvm::split(key, '.')) {
    if (!at->is_object())
      return nullptr;
    auto found = at->find(part.str());
    if (found == at->end())
      return nullptr;
    at = &*found;
  }
  return at;
}

const json *Config::lookup(StringRef key) const {
  const json *value = descend(root.get(), key);
  return value && !value->is_null() ? value : nullptr;
}

const json *Config::find(StringRef key) {
  known.insert(key.split('.').first.str());
  return lookup(key);
}

bool Config::has(StringRef key) const { return lookup(key); }
bool Config::isNull(StringRef key) const {
  const json *value = descend(root.get(), key);
  return value && value->is_null();
}
bool Config::isString(StringRef key) const {
  const json *value = lookup(key);
  return value && value->is_string();
}
bool Config::isObject(StringRef key) const {
  const json *value = lookup(key);
  return value && value->is_object();
}

void Config::refuse(StringRef key, const Twine &required, const Twine &note) {
  const json *value = lookup(key);
  report->fail(locate(key),
               key + ": " + (value ? show(*value) : "no value") + " vs " +
                   required,
               note);
}

void Config::infer(StringRef key, const Twine &value, const Twine &reason) {
  report->note(key + " is " + value + ": " + reason + " (--config " + key +
               "=... overrides it)");
}

std::optional<int64_t> Config::findInteger(StringRef key, int64_t least) {
  const json *value = find(key);
  if (!value)
    return std::nullopt;
  // Row numbers, sizes and token ids are 32 bits wide everywhere else.
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  if (!value->is_number_integer() ||
      (value->is_number_unsigned() &&
       value->get<uint64_t>() > uint64_t(most)) ||
      value->get<int64_t>() < least || value->get<int64_t>() > most) {
    refuse(key, "an integer from " + Twine(least) + " to " + Twine(most));
    return std::max<int64_t>(least, 1);
  }
  return value->get<int64_t>();
}

std::optional<double> Config::findNumber(StringRef key) {
  const json *value = find(key);
  if (!value)
    return std::nullopt;
  if (!value->is_number() || !std::isfinite(value->get<double>())) {
    refuse(key, "a number");
    return 1.0;
  }
  return value->get<double>();
}

std::optional<bool> Config::findFlag(StringRef key) {
  const json *value = find(key);
  if (!value)
    return std::nullopt;
  if (!value->is_boolean()) {
    refuse(key, "true or false");
    return false;
  }
  return value->get<bool>();
}

std::optional<std::string> Config::findString(StringRef key) {
  const json *value = find(key);
  if (!value)
    return std::nullopt;
  if (!value->is_string()) {
    refuse(key, "a string");
    return std::string();
  }
  return value->get<std::string>();
}

int64_t Config::getInteger(StringRef key, int64_t least) {
  if (std::optional<int64_t> value = findInteger(key, least))
    return *value;
  refuse(key, "an integer: the architecture needs it");
  return std::max<int64_t>(least, 1);
}

double Config::getNumber(StringRef key) {
  if (std::optional<double> value = findNumber(key))
    return *value;
  refuse(key, "a number: the architecture needs it");
  return 1.0;
}

int64_t Config::getInteger(StringRef key, int64_t fallback, StringRef reason) {
  if (std::optional<int64_t> value = findInteger(key))
    return *value;
  infer(key, Twine(fallback), reason);
  return fallback;
}

double Config::getNumber(StringRef key, double fallback, StringRef reason) {
  if (std::optional<double> value = findNumber(key))
    return *value;
  infer(key, show(json(fallback)), reason);
  return fallback;
}

std::string Config::getString(StringRef key, StringRef fallback,
                              StringRef reason) {
  if (std::optional<std::string> value = findString(key))
    return *value;
  infer(key, fallback, reason);
  return fallback.str();
}

std::vector<std::string> Config::getStrings(StringRef key) {
  std::vector<std::string> strings;
  const json *value = find(key);
  if (!value)
    return strings;
  if (value->is_array())
    for (const json &item : *value)
      if (item.is_string())
        strings.push_back(item.get<std::string>());
  if (!value->is_array() || strings.size() != value->size())
    refuse(key, "a list of strings");
  return strings;
}

std::vector<int64_t> Config::getTokenIds(StringRef key, int64_t vocabulary) {
  std::vector<int64_t> ids;
  const json *value = find(key);
  if (!value)
    return ids;
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  bool good = true, outside = false;
  auto add = [&](const json &item) {
    // Some configurations say -1 where they mean none.
    if (!item.is_number_integer() ||
        (item.is_number_unsigned() && item.get<uint64_t>() > uint64_t(most)) ||
        item.get<int64_t>() < -1) {
      good = false;
      return;
    }
    int64_t id = item.get<int64_t>();
    outside |= id >= vocabulary;
    if (id >= 0 && id < vocabulary)
      ids.push_back(id);
  };
  if (value->is_array())
    for (const json &item : *value)
      add(item);
  else
    add(*value);
  if (!good)
    refuse(key, "a token id, less than vocab_size, " + Twine(vocabulary) +
                    ", or a list of them");
  else if (outside)
    // Small models that were made from the configuration of a large one.
    report->note(key + " is " + show(*value) + ": ids from vocab_size, " +
                 Twine(vocabulary) + ", on never occur, ignored");
  return ids;
}

void Config::require(ArrayRef<FixedKey> keys) {
  for (const FixedKey &fixed : keys) {
    const json *value = find(fixed.key);
    if (value && *value != parseJson(fixed.value))
      refuse(fixed.key, fixed.value + ": nothing else is supported");
  }
}

void Config::requireSame(StringRef key, StringRef other) {
  const json *value = find(key), *same = find(other);
  if (value && same && *value != *same)
    refuse(key, other + ", " + show(*same),
           "--config " + key + "=null leaves " + other);
}

void Config::know(ArrayRef<StringLiteral> keys) {
  for (StringRef key : keys)
    known.insert(key.str());
}

void Config::noteUnknown() {
  for (const auto &item : root->items())
    if (!known.count(item.key()) && !item.value().is_null())
      report->note(Twine(item.key()) + " is " + show(item.value()) +
                   ": an unknown key of config.json, ignored");
}
