//===- ControlGroup.h - What a container may still take -------------------===//
#ifndef RSHARD_RUNTIME_SRC_CONTROLGROUP_H
#define RSHARD_RUNTIME_SRC_CONTROLGROUP_H

#include <cstdint>
#include <filesystem>

namespace rshard::runtime {

/// Bytes that the memory limits of a process's control group (version 2) and of
/// the groups around it leave: memory.max less memory.current, of which pages
/// of files (memory.stat) are not counted, since they are given back. The
/// largest number there is without a limit. `membership` is the process's
/// /proc/self/cgroup, `root` where the groups are mounted.
uint64_t availableInGroup(const std::filesystem::path &membership,
                          const std::filesystem::path &root);

} // namespace rshard::runtime

#endif
