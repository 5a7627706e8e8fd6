//===- Hash.h - SHA-256 and the identity of a model
//-------------------------===//
#ifndef RSHARD_RUNTIME_HASH_H
#define RSHARD_RUNTIME_HASH_H

#include "rshard/runtime/SafeTensors.h"

#include <functional>
#include <span>

namespace rshard::runtime {

/// Lower-case hexadecimal SHA-256.
std::string sha256(std::span<const std::byte> bytes);
std::string sha256(std::string_view text);

/// Bytes done and bytes in all; called from the calling thread, a few times a
/// second at most.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

/// C10: the hash of the configuration (parsed, so that spaces and the order of
/// keys do not count) and of the table of tensor names, types and shapes.
/// Values do not enter it.
Expected<std::string> modelIdentity(std::string_view configJson,
                                    const SafeTensors &tensors);

/// SHA-256 over the SHA-256 of every file in order. A file's hash is kept in
/// the user's cache under its path, number, size and times of change, so that
/// unchanged files are read once.
Expected<std::string> contentHash(const SafeTensors &tensors,
                                  const Progress &progress = {});

/// $XDG_CACHE_HOME/rshard, else $HOME/.cache/rshard; empty if neither is set.
std::filesystem::path cacheDirectory();

} // namespace rshard::runtime

#endif
