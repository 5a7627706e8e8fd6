// Reads tokenizer.json into TokenizerParts. Whatever would change the ids and
// is not built is an error that names it. Refusals end in readTokenizer.

#include "JsonFields.h"
#include "Tokenizer.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

using namespace rshard::tokenizer;
using nlohmann::json;
using rshard::tokenset::Error;
using rshard::tokenset::Expected;

namespace {

/// GPT-2's own pattern, which ByteLevel applies with use_regex.
constexpr const char *byteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

template <typename T> T valueOrRefuse(Expected<T> result) {
  if (!result)
    throw Refusal{result.error().message};
  return std::move(*result);
}

std::string typeOf(const json &object, const std::string &where) {
  return textField(object, "type", where);
}

int32_t tokenId(const json &value, const std::string &token) {
  if (!value.is_number_integer() || value < 0 ||
      value > std::numeric_limits<int32_t>::max())
    throw Refusal{"token '" + token + "': id " + show(value) +
                  " is not a token id"};
  return value.get<int32_t>();
}

/// The members of a Sequence, or the thing alone; nothing for null.
std::vector<json> members(const json &root, const char *key, const char *list) {
  const json *value = optionalField(root, key, "tokenizer");
  if (!value)
    return {};
  if (typeOf(*value, key) != "Sequence")
    return {*value};
  return listField(*value, list, key).get<std::vector<json>>();
}

std::string escaped(const std::string &text) {
  std::string pattern;
  for (char c : text) {
    if (std::string_view("\\^$.[]|()?*+{}#").find(c) != std::string_view::npos)
      pattern += '\\';
    pattern += c;
  }
  return pattern;
}

SplitStep readSplit(const json &step) {
  const char *where = "pre-tokenizer Split";
  const json &pattern = field(step, "pattern", where);
  std::string expression =
      optionalField(pattern, "Regex", "the pattern of a Split")
          ? textField(pattern, "Regex", "the pattern of a Split")
          : escaped(textField(pattern, "String", "the pattern of a Split"));
  std::string behavior = textField(step, "behavior", where);
  if (behavior != "Isolated" && behavior != "Removed")
    throw Refusal{"pre-tokenizer Split: behavior '" + behavior +
                  "' is not supported: Isolated and Removed are"};
  bool removed = behavior == "Removed";
  bool invert = flagField(step, "invert", false, where);
  return {valueOrRefuse(Pattern::compile(expression)), removed && !invert,
          removed && invert};
}

void readPreTokenizer(const json &root, TokenizerParts &parts) {
  std::vector<json> steps = members(root, "pre_tokenizer", "pretokenizers");
  for (size_t i = 0; i < steps.size(); ++i) {
    std::string type = typeOf(steps[i], "pre_tokenizer");
    bool last = i + 1 == steps.size();
    if (type == "Split") {
      parts.steps.push_back(readSplit(steps[i]));
    } else if (type == "Digits") {
      bool single = flagField(steps[i], "individual_digits", false, type);
      const char *pattern = single ? R"(\p{N})" : R"(\p{N}+)";
      parts.steps.push_back(
          SplitStep{valueOrRefuse(Pattern::compile(pattern))});
    } else if (type == "ByteLevel" && last) {
      if (flagField(steps[i], "add_prefix_space", true, type))
        parts.steps.push_back(PrefixStep{});
      if (flagField(steps[i], "use_regex", true, type))
        parts.steps.push_back(
            SplitStep{valueOrRefuse(Pattern::compile(byteLevelPattern))});
      return;
    } else {
      throw Refusal{"pre-tokenizer " + type + (last ? "" : " before others") +
                    " is not supported"};
    }
  }
  throw Refusal{"the pre-tokenizer does not end in ByteLevel: only byte-level "
                "BPE is supported"};
}

void readNormalizer(const json &root, TokenizerParts &parts) {
  for (const json &step : members(root, "normalizer", "normalizers")) {
    std::string type = typeOf(step, "normalizer");
    if (type != "NFC")
      throw Refusal{"normalizer " + type + " is not supported: NFC is"};
    parts.compose = true;
  }
}

void readDecoder(const json &root) {
  std::vector<json> steps = members(root, "decoder", "decoders");
  std::string last = steps.empty() ? "null" : typeOf(steps.back(), "decoder");
  if (steps.size() != 1 || last != "ByteLevel")
    throw Refusal{"decoder " + last + " is not supported: ByteLevel is"};
}

/// The tokens that a post-processor puts around one text.
void readPostProcessor(const json &root, TokenizerParts &parts) {
  for (const json &step : members(root, "post_processor", "processors")) {
    std::string type = typeOf(step, "post_processor");
    if (type == "ByteLevel") // moves offsets, which nobody asks for
      continue;
    if (type != "TemplateProcessing")
      throw Refusal{"post-processor " + type +
                    " is not supported: ByteLevel and TemplateProcessing are"};
    bool seen = false;
    for (const json &item : listField(step, "single", type)) {
      if (optionalField(item, "Sequence", type)) {
        if (seen)
          throw Refusal{"post-processor TemplateProcessing: a text used twice "
                        "is not supported"};
        seen = true;
        continue;
      }
      const json &special = field(item, "SpecialToken", type);
      std::string name = textField(special, "id", type);
      const json &token =
          field(field(step, "special_tokens", type), name, type);
      for (const json &id : listField(token, "ids", type))
        (seen ? parts.after : parts.before).push_back(tokenId(id, name));
    }
    if (!seen)
      throw Refusal{"post-processor TemplateProcessing: a template without the "
                    "text is not supported"};
  }
}

using Vocabulary = std::unordered_map<std::string, int32_t>;

Vocabulary readVocabulary(const json &model) {
  const json &table = field(model, "vocab", "model");
  if (!table.is_object())
    throw Refusal{"model: vocab " + show(table) + " vs an object"};
  Vocabulary vocabulary;
  vocabulary.reserve(table.size());
  for (const auto &[token, id] : table.items())
    vocabulary.emplace(token, tokenId(id, token));
  return vocabulary;
}

/// Both forms: "left right" and ["left", "right"].
std::vector<std::pair<std::string, std::string>> readMerges(const json &model) {
  std::vector<std::pair<std::string, std::string>> merges;
  for (const json &merge : listField(model, "merges", "model")) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
        merge[1].is_string()) {
      merges.emplace_back(merge[0].get<std::string>(),
                          merge[1].get<std::string>());
      continue;
    }
    if (!merge.is_string())
      throw Refusal{"merge " + std::to_string(merges.size()) +
                    " is not a pair: " + show(merge)};
    const std::string &text = merge.get_ref<const std::string &>();
    size_t space = text.find(' ');
    if (space == std::string::npos ||
        text.find(' ', space + 1) != std::string::npos)
      throw Refusal{"merge " + std::to_string(merges.size()) +
                    " is not a pair: '" + text + "'"};
    merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
  return merges;
}

BytePairs readModel(const json &model, const Vocabulary &vocabulary) {
  onlyField(model, "dropout", 0.0, "model");
  onlyField(model, "continuing_subword_prefix", "", "model");
  onlyField(model, "end_of_word_suffix", "", "model");
  onlyField(model, "byte_fallback", false, "model");
  BytePairOptions options;
  options.fuseUnknown = flagField(model, "fuse_unk", false, "model");
  options.ignoreMerges = flagField(model, "ignore_merges", false, "model");
  if (optionalField(model, "unk_token", "model")) {
    std::string unknown = textField(model, "unk_token", "model");
    auto found = vocabulary.find(unknown);
    if (found == vocabulary.end())
      throw Refusal{"unk_token \"" + unknown + "\" is not in the vocabulary"};
    options.unknown = found->second;
  }
  return valueOrRefuse(
      BytePairs::create(vocabulary, readMerges(model), options));
}

void readAdded(const json &root, const Vocabulary &vocabulary,
               TokenizerParts &parts) {
  if (!optionalField(root, "added_tokens", "tokenizer"))
    return;
  for (const json &token : listField(root, "added_tokens", "tokenizer")) {
    std::string content = textField(token, "content", "added_tokens");
    std::string where = "added token '" + content + "'";
    int32_t id = tokenId(field(token, "id", where), content);
    if (content.empty())
      throw Refusal{"added token " + std::to_string(id) + " is empty"};
    auto known = vocabulary.find(content);
    if (known != vocabulary.end() && known->second != id)
      throw Refusal{where + " has two ids: " + std::to_string(id) + " and " +
                    std::to_string(known->second) + " in the vocabulary"};
    auto flag = [&](const char *key, bool absent) {
      return flagField(token, key, absent, where);
    };
    if (flag("single_word", false))
      throw Refusal{where + ": single_word is not supported"};
    bool special = flag("special", false);
    if (special)
      parts.special.insert(id);
    AddedToken added{content, id, flag("lstrip", false), flag("rstrip", false),
                     flag("normalized", !special)};
    if (added.normalized && parts.compose)
      added.content = valueOrRefuse(composed(content));
    // PyPI tokenizers decodes what it looks for, so that an added token is read
    // as byte-level too.
    parts.bytes.insert_or_assign(
        id, bytesOf(added.content).value_or(added.content));
    parts.added.push_back(std::move(added));
  }
}

TokenizerParts readParts(const json &root) {
  const json &model = field(root, "model", "tokenizer");
  onlyField(root, "truncation", nullptr, "tokenizer");
  onlyField(root, "padding", nullptr, "tokenizer");
  std::string type =
      optionalField(model, "type", "model") ? typeOf(model, "model") : "BPE";
  if (type != "BPE")
    throw Refusal{"tokenizer model " + type +
                  " is not supported: byte-level BPE is"};
  TokenizerParts parts;
  readNormalizer(root, parts);
  readPreTokenizer(root, parts);
  readDecoder(root);
  readPostProcessor(root, parts);
  Vocabulary vocabulary = readVocabulary(model);
  parts.model = readModel(model, vocabulary);
  parts.bytes.reserve(vocabulary.size());
  for (const auto &[token, id] : vocabulary) {
    // A token outside the byte alphabet stands for its own text.
    bool fresh = parts.bytes.emplace(id, bytesOf(token).value_or(token)).second;
    if (!fresh)
      throw Refusal{"two tokens of the vocabulary have id " +
                    std::to_string(id)};
  }
  readAdded(root, vocabulary, parts);
  return parts;
}

} // namespace

Expected<TokenizerParts>
rshard::tokenizer::readTokenizer(const std::string &path) {
  std::error_code code;
  if (std::filesystem::exists(path, code) &&
      !std::filesystem::is_regular_file(path, code))
    return Error{path + ": not a regular file"};
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Error{path + ": cannot be opened"};
  std::string text(std::istreambuf_iterator<char>(file), {});
  try {
    return readParts(parseJson(text));
  } catch (const Refusal &refusal) {
    return Error{path + ": " + refusal.message};
  }
}
