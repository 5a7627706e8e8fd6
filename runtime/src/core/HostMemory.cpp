#include "HostMemory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sys/resource.h>
#include <unistd.h>

namespace rshard::runtime {

namespace {

constexpr uint64_t unknown = std::numeric_limits<uint64_t>::max();

/// A line "MemAvailable:   23317000 kB".
uint64_t systemMemory() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  uint64_t kilobytes = 0;
  while (file >> key >> kilobytes >> unit)
    if (key == "MemAvailable:")
      return kilobytes * 1024;
  return unknown;
}

uint64_t addressSpace() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return unknown;
  uint64_t pages = 0; // the first number is the whole size
  if (!(std::ifstream("/proc/self/statm") >> pages))
    return limit.rlim_cur;
  uint64_t used = pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return limit.rlim_cur - std::min<uint64_t>(used, limit.rlim_cur);
}

std::string gigabytes(uint64_t bytes, uint64_t rounding) {
  if (bytes < 1000000)
    return std::to_string(bytes) + " bytes";
  uint64_t unit = bytes < 1000000000 ? 1000000 : 1000000000, tenth = unit / 10;
  uint64_t tenths = (bytes + rounding * (tenth - 1)) / tenth;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) +
         (unit == 1000000 ? " MB" : " GB");
}

} // namespace

uint64_t availableMemory() { return std::min(systemMemory(), addressSpace()); }

std::string bytesNeeded(uint64_t bytes) { return gigabytes(bytes, 1); }
std::string bytesHad(uint64_t bytes) { return gigabytes(bytes, 0); }

} // namespace rshard::runtime
