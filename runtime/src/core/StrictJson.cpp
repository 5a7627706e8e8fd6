#include "StrictJson.h"

#include <limits>

namespace rshard::runtime {
using nlohmann::json;
using tokenset::Error;
using tokenset::Expected;

namespace {

/// Builds a DOM from SAX events: the only way in which nlohmann tells of
/// duplicate keys.
class Builder : public nlohmann::json_sax<json> {
public:
  json root;
  std::string error;

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t &) override {
    return put(value);
  }
  bool string(string_t &value) override { return put(std::move(value)); }
  bool binary(binary_t &) override { return fail("binary value"); }
  bool start_object(size_t) override { return push(json::object()); }
  bool start_array(size_t) override { return push(json::array()); }
  bool end_object() override { return pop(); }
  bool end_array() override { return pop(); }
  bool key(string_t &value) override {
    auto [slot, inserted] =
        open.back()->get_ref<json::object_t &>().emplace(value, nullptr);
    if (!inserted)
      return fail("duplicate key \"" + value + "\"");
    member = &slot->second;
    return true;
  }
  bool parse_error(size_t position, const std::string &token,
                   const nlohmann::detail::exception &) override {
    // The library's own text repeats the input; an offset is what a reader
    // needs.
    (void)token;
    return fail("not valid JSON at byte " + std::to_string(position));
  }

private:
  static constexpr size_t maxDepth = 128;
  std::vector<json *> open;
  json *member = nullptr;

  bool fail(std::string message) {
    if (error.empty())
      error = std::move(message);
    return false;
  }
  json *place(json value) {
    if (open.empty()) {
      root = std::move(value);
      return &root;
    }
    if (open.back()->is_array()) {
      auto &array = open.back()->get_ref<json::array_t &>();
      array.push_back(std::move(value));
      return &array.back();
    }
    *member = std::move(value);
    return member;
  }
  bool put(json value) {
    place(std::move(value));
    return true;
  }
  bool push(json value) {
    if (open.size() == maxDepth)
      return fail("nested deeper than " + std::to_string(maxDepth) + " levels");
    open.push_back(place(std::move(value)));
    return true;
  }
  bool pop() {
    open.pop_back();
    return true;
  }
};

} // namespace

Expected<json> parseStrictJson(std::string_view text) {
  Builder builder;
  bool ok = json::sax_parse(text.begin(), text.end(), &builder);
  if (!ok || !builder.error.empty())
    return Error{builder.error.empty() ? "not valid JSON" : builder.error};
  return std::move(builder.root);
}

std::string canonicalJson(const json &value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

JsonFields::JsonFields(const json &value, std::string path, std::string &error)
    : object(value), path(std::move(path)), error(error) {
  if (!value.is_object() && error.empty())
    error = (this->path.empty() ? "the top level"
                                // Without the dot in front of a field.
                                : this->path.substr(0, this->path.size() - 1)) +
            " is not an object";
}

void JsonFields::fail(const char *key, const std::string &what) {
  if (error.empty())
    error = path + key + " " + what;
}

bool JsonFields::has(const char *key) {
  asked.insert(key);
  return object.is_object() && object.find(key) != object.end();
}

const json *JsonFields::at(const char *key) {
  if (!has(key)) {
    fail(key, "is missing");
    return nullptr;
  }
  return &*object.find(key);
}

const json *JsonFields::arrayAt(const char *key) {
  const json *value = at(key);
  if (value && !value->is_array()) {
    fail(key, "is not an array");
    return nullptr;
  }
  return value;
}

bool JsonFields::convert(const json &item, std::string &out) {
  if (!item.is_string())
    return false;
  out = item.get_ref<const std::string &>();
  return true;
}

bool JsonFields::convert(const json &item, int64_t &out) {
  if (item.is_number_unsigned()) {
    auto value = *item.get_ptr<const uint64_t *>();
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return false;
    out = static_cast<int64_t>(value);
    return true;
  }
  if (!item.is_number_integer())
    return false;
  out = *item.get_ptr<const int64_t *>();
  return true;
}

bool JsonFields::convert(const json &item, int32_t &out) {
  int64_t wide = 0;
  if (!convert(item, wide) || wide < std::numeric_limits<int32_t>::min() ||
      wide > std::numeric_limits<int32_t>::max())
    return false;
  out = static_cast<int32_t>(wide);
  return true;
}

bool JsonFields::convert(const json &item, double &out) {
  int64_t whole = 0;
  if (item.is_number_float())
    out = *item.get_ptr<const double *>();
  else if (convert(item, whole))
    out = static_cast<double>(whole);
  else
    return false;
  return true;
}

void JsonFields::read(const char *key, std::string &out) {
  if (const json *value = at(key); value && !convert(*value, out))
    fail(key, "is not a string");
}
void JsonFields::read(const char *key, int64_t &out) {
  if (const json *value = at(key); value && !convert(*value, out))
    fail(key, "is not an integer");
}
void JsonFields::read(const char *key, int64_t &out, int64_t least,
                      int64_t most) {
  read(key, out);
  if (out < least || out > most)
    fail(key, "is " + std::to_string(out) + ", " + std::to_string(least) +
                  " to " + std::to_string(most) + " is allowed");
}

void JsonFields::read(const char *key, double &out) {
  if (const json *value = at(key); value && !convert(*value, out))
    fail(key, "is not a number");
}
void JsonFields::read(const char *key, bool &out) {
  const json *value = at(key);
  if (!value)
    return;
  if (!value->is_boolean())
    return fail(key, "is not true or false");
  out = *value->get_ptr<const bool *>();
}

void JsonFields::finish() {
  if (!object.is_object())
    return;
  for (auto item = object.begin(); item != object.end(); ++item)
    if (!asked.contains(item.key()))
      return fail(item.key().c_str(), "is not a known field");
}

} // namespace rshard::runtime
