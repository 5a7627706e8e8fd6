//===- HostMemory.h - How much memory there is, and how it is said
//-----------===//
#ifndef RSHARD_RUNTIME_SRC_HOSTMEMORY_H
#define RSHARD_RUNTIME_SRC_HOSTMEMORY_H

#include <cstdint>
#include <string>

namespace rshard::runtime {

/// Bytes that this process can still take: what the system can give without
/// swapping, and what its limit of address space (`ulimit -v`) leaves. The
/// largest number there is if the system does not say.
uint64_t availableMemory();

/// "1.5 GB", rounded up where it is needed and down where it is had.
std::string bytesNeeded(uint64_t bytes);
std::string bytesHad(uint64_t bytes);

} // namespace rshard::runtime

#endif
