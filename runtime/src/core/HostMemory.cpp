#include "rshard/runtime/HostMemory.h"
#include "ControlGroup.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
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

} // namespace

uint64_t addressSpaceLeft() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return unknown;
  uint64_t pages = 0; // the first number is the whole size
  if (!(std::ifstream("/proc/self/statm") >> pages))
    return limit.rlim_cur;
  uint64_t used = pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return limit.rlim_cur - std::min<uint64_t>(used, limit.rlim_cur);
}

uint64_t availableMemory() {
  return std::min({systemMemory(), addressSpaceLeft(),
                   availableInGroup("/proc/self/cgroup", "/sys/fs/cgroup")});
}

} // namespace rshard::runtime
