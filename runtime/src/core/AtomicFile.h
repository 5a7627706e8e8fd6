//===- AtomicFile.h - Files that appear whole or not at all
//-----------------===//
#ifndef RSHARD_RUNTIME_SRC_ATOMICFILE_H
#define RSHARD_RUNTIME_SRC_ATOMICFILE_H

#include "rshard/tokenset/Expected.h"

#include <cstddef>
#include <filesystem>
#include <span>

namespace rshard::runtime {

/// Writes the pieces one after the other to a file beside `path` and renames
/// it.
tokenset::Expected<void>
writeFileAtomically(const std::filesystem::path &path,
                    std::span<const std::span<const std::byte>> pieces);

} // namespace rshard::runtime

#endif
