// Reads tokenizer.json into TokenizerParts. Whatever would change the ids and
// is not built is an error that names it. Exceptions, nlohmann's and our own,
// end in readTokenizer.

#include "Tokenizer.h"

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

using namespace rshard::tokenizer;
using nlohmann::json;
using rshard::tokenset::Error;
using rshard::tokenset::Expected;

namespace {

struct Refusal {
  std::string message;
};

/// GPT-2's own pattern, which ByteLevel applies with use_regex.
constexpr const char *byteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

std::string quoted(const json &value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

template <typename T> T valueOrRefuse(Expected<T> result) {
  if (!result)
    throw Refusal{result.error().message};
  return std::move(*result);
}

/// Absent, null, or equal to the only value that is supported.
void only(const json &object, const char *key, const json &supported,
          const char *where) {
  auto found = object.find(key);
  if (found != object.end() && !found->is_null() && *found != supported)
    throw Refusal{std::string(where) + ": " + key + " " + quoted(*found) +
                  " is not supported"};
}

bool flag(const json &object, const char *key, bool otherwise) {
  auto found = object.find(key);
  return found == object.end() || found->is_null() ? otherwise
                                                   : found->get<bool>();
}

std::string typeOf(const json &object) {
  return object.at("type").get<std::string>();
}

int32_t tokenId(const json &value, const std::string &token) {
  if (!value.is_number_integer() || value < 0 ||
      value > std::numeric_limits<int32_t>::max())
    throw Refusal{"token '" + token + "': id " + quoted(value) +
                  " is not a token id"};
  return value.get<int32_t>();
}

/// The members of a Sequence, or the thing alone; nothing for null.
std::vector<json> members(const json &root, const char *key, const char *list) {
  auto found = root.find(key);
  if (found == root.end() || found->is_null())
    return {};
  if (typeOf(*found) != "Sequence")
    return {*found};
  return found->at(list).get<std::vector<json>>();
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
  const json &pattern = step.at("pattern");
  std::string expression =
      pattern.contains("Regex")
          ? pattern.at("Regex").get<std::string>()
          : escaped(pattern.at("String").get<std::string>());
  std::string behavior = step.at("behavior").get<std::string>();
  if (behavior != "Isolated" && behavior != "Removed")
    throw Refusal{"pre-tokenizer Split: behavior '" + behavior +
                  "' is not supported: Isolated and Removed are"};
  bool removed = behavior == "Removed";
  bool invert = flag(step, "invert", false);
  return {valueOrRefuse(Pattern::compile(expression)), removed && !invert,
          removed && invert};
}

void readPreTokenizer(const json &root, TokenizerParts &parts) {
  std::vector<json> steps = members(root, "pre_tokenizer", "pretokenizers");
  for (size_t i = 0; i < steps.size(); ++i) {
    std::string type = typeOf(steps[i]);
    bool last = i + 1 == steps.size();
    if (type == "Split") {
      parts.steps.push_back(readSplit(steps[i]));
    } else if (type == "Digits") {
      const char *pattern =
          flag(steps[i], "individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)";
      parts.steps.push_back(
          SplitStep{valueOrRefuse(Pattern::compile(pattern))});
    } else if (type == "ByteLevel" && last) {
      if (flag(steps[i], "add_prefix_space", true))
        parts.steps.push_back(PrefixStep{});
      if (flag(steps[i], "use_regex", true))
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
    if (typeOf(step) != "NFC")
      throw Refusal{"normalizer " + typeOf(step) + " is not supported: NFC is"};
    parts.compose = true;
  }
}

void readDecoder(const json &root) {
  std::vector<json> steps = members(root, "decoder", "decoders");
  if (steps.size() != 1 || typeOf(steps[0]) != "ByteLevel")
    throw Refusal{"decoder " +
                  (steps.empty() ? std::string("null") : typeOf(steps[0])) +
                  " is not supported: ByteLevel is"};
}

/// The tokens that a post-processor puts around one text.
void readPostProcessor(const json &root, TokenizerParts &parts) {
  for (const json &step : members(root, "post_processor", "processors")) {
    std::string type = typeOf(step);
    if (type == "ByteLevel") // moves offsets, which nobody asks for
      continue;
    if (type != "TemplateProcessing")
      throw Refusal{"post-processor " + type +
                    " is not supported: ByteLevel and TemplateProcessing are"};
    bool seen = false;
    for (const json &item : step.at("single")) {
      if (item.contains("Sequence")) {
        if (seen)
          throw Refusal{"post-processor TemplateProcessing: a text used twice "
                        "is not supported"};
        seen = true;
        continue;
      }
      std::string name = item.at("SpecialToken").at("id").get<std::string>();
      auto ids = step.at("special_tokens")
                     .at(name)
                     .at("ids")
                     .get<std::vector<int32_t>>();
      std::vector<int32_t> &side = seen ? parts.after : parts.before;
      side.insert(side.end(), ids.begin(), ids.end());
    }
    if (!seen)
      throw Refusal{"post-processor TemplateProcessing: a template without the "
                    "text is not supported"};
  }
}

using Vocabulary = std::unordered_map<std::string, int32_t>;

Vocabulary readVocabulary(const json &model) {
  const json &table = model.at("vocab");
  Vocabulary vocabulary;
  vocabulary.reserve(table.size());
  for (const auto &[token, id] : table.items())
    vocabulary.emplace(token, tokenId(id, token));
  return vocabulary;
}

/// Both forms: "left right" and ["left", "right"].
std::vector<std::pair<std::string, std::string>> readMerges(const json &model) {
  std::vector<std::pair<std::string, std::string>> merges;
  for (const json &merge : model.at("merges")) {
    if (merge.is_array() && merge.size() == 2) {
      merges.emplace_back(merge[0].get<std::string>(),
                          merge[1].get<std::string>());
      continue;
    }
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
  only(model, "dropout", 0.0, "model");
  only(model, "continuing_subword_prefix", "", "model");
  only(model, "end_of_word_suffix", "", "model");
  only(model, "byte_fallback", false, "model");
  BytePairOptions options;
  options.fuseUnknown = flag(model, "fuse_unk", false);
  options.ignoreMerges = flag(model, "ignore_merges", false);
  if (auto unknown = model.find("unk_token");
      unknown != model.end() && !unknown->is_null()) {
    auto found = vocabulary.find(unknown->get<std::string>());
    if (found == vocabulary.end())
      throw Refusal{"unk_token " + quoted(*unknown) +
                    " is not in the vocabulary"};
    options.unknown = found->second;
  }
  return valueOrRefuse(
      BytePairs::create(vocabulary, readMerges(model), options));
}

void readAdded(const json &root, const Vocabulary &vocabulary,
               TokenizerParts &parts) {
  auto found = root.find("added_tokens");
  if (found == root.end() || found->is_null())
    return;
  for (const json &token : *found) {
    std::string content = token.at("content").get<std::string>();
    int32_t id = tokenId(token.at("id"), content);
    if (content.empty())
      throw Refusal{"added token " + std::to_string(id) + " is empty"};
    auto known = vocabulary.find(content);
    if (known != vocabulary.end() && known->second != id)
      throw Refusal{"added token '" + content +
                    "' has two ids: " + std::to_string(id) + " and " +
                    std::to_string(known->second) + " in the vocabulary"};
    if (flag(token, "single_word", false))
      throw Refusal{"added token '" + content +
                    "': single_word is not supported"};
    bool special = flag(token, "special", false);
    if (special)
      parts.special.insert(id);
    AddedToken added{content, id, flag(token, "lstrip", false),
                     flag(token, "rstrip", false),
                     flag(token, "normalized", !special)};
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
  only(root, "truncation", nullptr, "tokenizer");
  only(root, "padding", nullptr, "tokenizer");
  const json &model = root.at("model");
  std::string type = model.contains("type") ? typeOf(model) : "BPE";
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
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Error{path + ": cannot be opened"};
  try {
    return readParts(json::parse(file));
  } catch (const Refusal &refusal) {
    return Error{path + ": " + refusal.message};
  } catch (const json::exception &exception) {
    return Error{path + ": " + exception.what()};
  }
}
