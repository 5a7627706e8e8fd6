// Fields of tokenizer.json, checked: what is missing or of another type is a
// Refusal that says where. `where` names the object for its reader ("model").

#ifndef RSHARD_TOKENIZER_JSONFIELDS_H
#define RSHARD_TOKENIZER_JSONFIELDS_H

#include <nlohmann/json.hpp>
#include <string>

namespace rshard::tokenizer {

/// Thrown and caught within the reader: one line that says what is wrong.
struct Refusal {
  std::string message;
};

/// A value as messages show it: long ones are cut.
std::string show(const nlohmann::json &value);

/// The only JSON value of a text.
nlohmann::json parseJson(const std::string &text);

/// A required field, of any type or of the one asked for.
const nlohmann::json &field(const nlohmann::json &object,
                            const std::string &key, const std::string &where);
const nlohmann::json &listField(const nlohmann::json &object,
                                const std::string &key,
                                const std::string &where);
const std::string &textField(const nlohmann::json &object,
                             const std::string &key, const std::string &where);

/// A field that may be absent or null: then nullptr, or `absent`.
const nlohmann::json *optionalField(const nlohmann::json &object,
                                    const std::string &key,
                                    const std::string &where);
bool flagField(const nlohmann::json &object, const std::string &key,
               bool absent, const std::string &where);

/// Refuses a field unless it is absent, null or the only supported value.
void onlyField(const nlohmann::json &object, const std::string &key,
               const nlohmann::json &supported, const std::string &where);

} // namespace rshard::tokenizer

#endif // RSHARD_TOKENIZER_JSONFIELDS_H
