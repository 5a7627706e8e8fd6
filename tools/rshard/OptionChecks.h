//===- OptionChecks.h - what option values may be ---------------*- C++ -*-===//
//
// CLI11 has such checks, but its messages show types and the largest double.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TOOLS_RSHARD_OPTIONCHECKS_H
#define RSHARD_TOOLS_RSHARD_OPTIONCHECKS_H

#include <CLI/CLI.hpp>
#include <charconv>
#include <optional>

namespace rshard::tool {

/// `check` says what is wrong with a value, or nothing.
inline CLI::Validator
valid(std::function<std::string(const std::string &)> check) {
  return CLI::Validator(
      [check](const std::string &text) { return check(text); }, "");
}

/// Decimal digits alone: CLI11 by itself reads 010 as 8, clamps what is too
/// large and lets -1 wrap.
template <typename Integer>
CLI::Validator integer(Integer least, Integer most) {
  return valid([least, most](const std::string &text) {
    Integer value = 0;
    auto [end, code] =
        std::from_chars(text.data(), text.data() + text.size(), value);
    bool good = code == std::errc() && std::to_string(value) == text &&
                value >= least && value <= most;
    return good ? std::string()
                : "'" + text + "' vs an integer from " + std::to_string(least) +
                      " to " + std::to_string(most);
  });
}

inline CLI::Validator atLeast(int64_t least) {
  return integer<int64_t>(least, INT32_MAX);
}

/// `what` says which numbers are good. Not a number is not.
inline CLI::Validator number(std::function<bool(double)> good,
                             std::string what) {
  return valid([good, what](const std::string &text) {
    double value = 0;
    const char *end = text.data() + text.size();
    auto [rest, code] = std::from_chars(text.data(), end, value);
    return code == std::errc() && rest == end && good(value)
               ? std::string()
               : "'" + text + "' vs " + what;
  });
}

/// Without it an empty value reads as an option that was not given.
inline CLI::Validator notEmpty(std::string what) {
  return valid([what](const std::string &text) {
    return text.empty() ? "'' vs " + what : std::string();
  });
}

/// For results that are not text.
inline CLI::Validator outputFile() {
  return valid([](const std::string &text) {
    return text.empty() || text == "-"
               ? "'" + text + "' vs a file: stdout takes text only"
               : std::string();
  });
}

/// The seed of `random:SEED`.
inline std::optional<uint64_t> parseRandomSeed(const std::string &text) {
  const std::string prefix = "random:";
  uint64_t seed = 0;
  if (!text.starts_with(prefix))
    return std::nullopt;
  const char *begin = text.data() + prefix.size(),
             *end = text.data() + text.size();
  auto [rest, code] = std::from_chars(begin, end, seed);
  return code == std::errc() && rest == end ? std::optional(seed)
                                            : std::nullopt;
}

inline CLI::Validator randomSeed() {
  return valid([](const std::string &text) {
    return parseRandomSeed(text) ? std::string()
                                 : "'" + text + "' vs random: and a number";
  });
}

inline CLI::Validator oneOf(std::vector<std::string> names) {
  return valid([names](const std::string &text) {
    std::string list;
    for (const std::string &name : names) {
      if (name == text)
        return std::string();
      list += (list.empty() ? "" : ", ") + name;
    }
    return "'" + text + "' vs one of " + list;
  });
}

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_OPTIONCHECKS_H
