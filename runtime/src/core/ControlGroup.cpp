#include "ControlGroup.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace rshard::runtime {
namespace fs = std::filesystem;

namespace {

constexpr uint64_t unlimited = std::numeric_limits<uint64_t>::max();

/// The line "0::/a/b" as "a/b"; the others are of version 1.
std::optional<fs::path> ownGroup(const fs::path &membership) {
  std::ifstream file(membership);
  const std::string start = "0::/";
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(start))
      return fs::path(line.substr(start.size()));
  return std::nullopt;
}

/// None for "max", and for a file that is not there.
std::optional<uint64_t> number(const fs::path &path) {
  uint64_t value = 0;
  if (std::ifstream(path) >> value)
    return value;
  return std::nullopt;
}

uint64_t filePages(const fs::path &group) {
  std::ifstream file(group / "memory.stat");
  std::string key;
  uint64_t value = 0, bytes = 0;
  while (file >> key >> value)
    if (key == "active_file" || key == "inactive_file")
      bytes += value;
  return bytes;
}

uint64_t available(const fs::path &group) {
  std::optional<uint64_t> limit = number(group / "memory.max");
  if (!limit)
    return unlimited;
  uint64_t used = number(group / "memory.current").value_or(0);
  used -= std::min(used, filePages(group));
  return *limit - std::min(used, *limit);
}

} // namespace

uint64_t availableInGroup(const fs::path &membership, const fs::path &root) {
  std::optional<fs::path> group = ownGroup(membership);
  if (!group)
    return unlimited;
  uint64_t least = available(root);
  fs::path at = root;
  for (const fs::path &name : *group) {
    at /= name;
    least = std::min(least, available(at));
  }
  return least;
}

} // namespace rshard::runtime
