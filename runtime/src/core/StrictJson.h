//===- StrictJson.h - JSON from outside, read without exceptions
//------------===//
//
// nlohmann/json with duplicate keys refused and depth bounded; and a reader of
// objects that reports missing, unknown and mistyped fields by their path.
//
//===----------------------------------------------------------------------===//
#ifndef RSHARD_RUNTIME_SRC_STRICTJSON_H
#define RSHARD_RUNTIME_SRC_STRICTJSON_H

#include "rshard/tokenset/Expected.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace rshard::runtime {

/// Parses one JSON value. The error has no file name: the caller knows it.
tokenset::Expected<nlohmann::json> parseStrictJson(std::string_view text);

/// Canonical text: sorted keys, no spaces.
std::string canonicalJson(const nlohmann::json &value);

/// Reads the fields of one object. The first problem is kept in `error`; later
/// reads give defaults.
class JsonFields {
public:
  JsonFields(const nlohmann::json &value, std::string path, std::string &error);

  bool has(const char *key);
  void read(const char *key, std::string &out);
  void read(const char *key, int64_t &out);
  void read(const char *key, double &out);
  void read(const char *key, bool &out);
  template <typename T> void read(const char *key, std::vector<T> &out) {
    const nlohmann::json *array = arrayAt(key);
    if (!array)
      return;
    out.clear();
    for (const nlohmann::json &item : *array) {
      T element{};
      if (!convert(item, element))
        return fail(key, "has an element of the wrong type");
      out.push_back(std::move(element));
    }
  }
  /// A name out of a fixed list, as its index.
  template <typename Enum, size_t N>
  void read(const char *key, const std::array<std::string_view, N> &names,
            Enum &out) {
    std::string text;
    read(key, text);
    auto at = std::find(names.begin(), names.end(), text);
    if (at == names.end())
      return fail(key, "is \"" + text + "\", which is not known");
    out = static_cast<Enum>(at - names.begin());
  }
  /// An integer from `least` to `most`.
  void read(const char *key, int64_t &out, int64_t least, int64_t most);
  /// Calls fn(item, path of the item) for each element of an array.
  template <typename Fn> void each(const char *key, Fn fn) {
    const nlohmann::json *array = arrayAt(key);
    if (!array)
      return;
    size_t index = 0;
    for (const nlohmann::json &item : *array)
      fn(item, path + key + "[" + std::to_string(index++) + "].");
  }
  /// The value under a key, an error if there is none.
  const nlohmann::json *at(const char *key);
  std::string pathOf(const char *key) const { return path + key; }
  void fail(const char *key, const std::string &what);
  /// Refuses fields that nobody asked for.
  void finish();

private:
  static bool convert(const nlohmann::json &item, std::string &out);
  static bool convert(const nlohmann::json &item, int64_t &out);
  static bool convert(const nlohmann::json &item, int32_t &out);
  static bool convert(const nlohmann::json &item, double &out);
  const nlohmann::json *arrayAt(const char *key);

  const nlohmann::json &object;
  std::string path;
  std::string &error;
  std::set<std::string, std::less<>> asked;
};

} // namespace rshard::runtime

#endif
