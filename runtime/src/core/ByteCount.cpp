#include "ByteCount.h"

namespace rshard::runtime {

static std::string print(uint64_t bytes, uint64_t rounding) {
  if (bytes < 1000000)
    return std::to_string(bytes) + " bytes";
  uint64_t unit = bytes < 1000000000 ? 1000000 : 1000000000, tenth = unit / 10;
  uint64_t tenths = (bytes + rounding * (tenth - 1)) / tenth;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) +
         (unit == 1000000 ? " MB" : " GB");
}

std::string bytesNeeded(uint64_t bytes) { return print(bytes, 1); }
std::string bytesHad(uint64_t bytes) { return print(bytes, 0); }

} // namespace rshard::runtime
