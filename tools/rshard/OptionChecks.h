//===- OptionChecks.h - what option values may be ---------------*- C++ -*-===//
//
// CLI11 has such checks, but its messages show types and the largest double.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TOOLS_RSHARD_OPTIONCHECKS_H
#define RSHARD_TOOLS_RSHARD_OPTIONCHECKS_H

#include <CLI/CLI.hpp>

namespace rshard::tool {

/// `check` says what is wrong with a value, or nothing.
inline CLI::Validator
valid(std::function<std::string(const std::string &)> check) {
  return CLI::Validator(
      [check](const std::string &text) { return check(text); }, "");
}

inline CLI::Validator atLeast(int64_t least) {
  return valid([least](const std::string &text) {
    int64_t value = 0;
    return CLI::detail::lexical_cast(text, value) && value >= least &&
                   value <= INT32_MAX
               ? std::string()
               : "'" + text + "' vs an integer from " + std::to_string(least) +
                     " to " + std::to_string(INT32_MAX);
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
