//===- ByteCount.h - How numbers of bytes are said ------------------------===//
#ifndef RSHARD_RUNTIME_SRC_BYTECOUNT_H
#define RSHARD_RUNTIME_SRC_BYTECOUNT_H

#include <cstdint>
#include <string>

namespace rshard::runtime {

/// "1.5 GB", rounded up where it is needed and down where it is had.
std::string bytesNeeded(uint64_t bytes);
std::string bytesHad(uint64_t bytes);

} // namespace rshard::runtime

#endif
