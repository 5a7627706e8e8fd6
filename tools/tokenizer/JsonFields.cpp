#include "JsonFields.h"

#include "rshard/tokenset/TextPlace.h"

using namespace rshard;
using namespace rshard::tokenizer;
using nlohmann::json;

std::string tokenizer::show(const json &value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

json tokenizer::parseJson(const std::string &text) {
  try {
    return json::parse(text);
  } catch (const json::parse_error &error) {
    // The byte, counted from 1, at which the text stops being JSON.
    throw Refusal{
        "not valid JSON at " +
        tokenset::describe(tokenset::placeBehind(text, error.byte - 1))};
  }
}

const json *tokenizer::optionalField(const json &object, const std::string &key,
                                     const std::string &where) {
  if (!object.is_object())
    throw Refusal{where + ": " + show(object) + " vs an object"};
  auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const json &tokenizer::field(const json &object, const std::string &key,
                             const std::string &where) {
  const json *value = optionalField(object, key, where);
  if (!value)
    throw Refusal{where + ": no field '" + key + "'"};
  return *value;
}

const json &tokenizer::listField(const json &object, const std::string &key,
                                 const std::string &where) {
  const json &value = field(object, key, where);
  if (!value.is_array())
    throw Refusal{where + ": " + key + " " + show(value) + " vs a list"};
  return value;
}

const std::string &tokenizer::textField(const json &object,
                                        const std::string &key,
                                        const std::string &where) {
  const json &value = field(object, key, where);
  if (!value.is_string())
    throw Refusal{where + ": " + key + " " + show(value) + " vs a string"};
  return value.get_ref<const std::string &>();
}

bool tokenizer::flagField(const json &object, const std::string &key,
                          bool absent, const std::string &where) {
  const json *value = optionalField(object, key, where);
  if (value && !value->is_boolean())
    throw Refusal{where + ": " + key + " " + show(*value) +
                  " vs true or false"};
  return value ? value->get<bool>() : absent;
}

void tokenizer::onlyField(const json &object, const std::string &key,
                          const json &supported, const std::string &where) {
  const json *value = optionalField(object, key, where);
  if (value && *value != supported)
    throw Refusal{where + ": " + key + " " + show(*value) +
                  " is not supported"};
}
