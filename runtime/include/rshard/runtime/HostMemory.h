//===- HostMemory.h - How much memory there is ----------------------------===//
#ifndef RSHARD_RUNTIME_HOSTMEMORY_H
#define RSHARD_RUNTIME_HOSTMEMORY_H

#include <cstdint>

namespace rshard::runtime {

/// Bytes that this process can still take: what the system can give without
/// swapping, and what the limits of its address space (`ulimit -v`) and of its
/// control group (version 2, as containers have) leave. The largest number
/// there is if the system does not say.
uint64_t availableMemory();

/// Bytes that the limit of the address space leaves, which memory takes up
/// before it is used. The largest number there is if there is no limit.
uint64_t addressSpaceLeft();

} // namespace rshard::runtime

#endif
