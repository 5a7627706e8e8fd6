//===- Count.h - a number and its noun --------------------------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_COUNT_H
#define RSHARD_TOOLS_RSHARD_COUNT_H

#include <cstdint>
#include <string>

namespace rshard::tool {

/// `1 rank`, `2 ranks`.
inline std::string count(int64_t number, const std::string &noun) {
  return std::to_string(number) + " " + noun + (number == 1 ? "" : "s");
}

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_COUNT_H
