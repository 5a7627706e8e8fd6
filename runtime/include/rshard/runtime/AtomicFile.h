//===- AtomicFile.h - Files that appear whole or not at all -----*- C++ -*-===//
#ifndef RSHARD_RUNTIME_ATOMICFILE_H
#define RSHARD_RUNTIME_ATOMICFILE_H

#include "rshard/tokenset/Expected.h"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace rshard::runtime {

/// Writes the pieces one after the other to a file beside `path` and renames
/// it, so that nothing half-written is ever found under that name. A file that
/// is replaced keeps its permissions. Links stay: the file that they lead to
/// is the one that is replaced or made. Devices, pipes and open files
/// (/dev/stdout) cannot be replaced and are written through.
tokenset::Expected<void>
writeFileAtomically(const std::filesystem::path &path,
                    std::span<const std::span<const std::byte>> pieces);
tokenset::Expected<void> writeFileAtomically(const std::filesystem::path &path,
                                             std::string_view text);

/// Whether writeFileAtomically could begin now: asked before long work. The
/// error is the one it would give. A disk may still be full later.
tokenset::Expected<void> checkWritable(const std::filesystem::path &path);

} // namespace rshard::runtime

#endif
