//===- ArtifactCache.h - where run keeps what it compiled -------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_ARTIFACTCACHE_H
#define RSHARD_TOOLS_RSHARD_ARTIFACTCACHE_H

#include "rshard/tokenset/Expected.h"
#include <filesystem>

namespace rshard::tool {

/// The directory for cached artifacts: `artifacts` in the user's cache, or
/// rshard-UID in the temporary directory if the user has none. It is made with
/// mode 0700 if it is missing. Artifacts are machine code, so a directory into
/// which somebody else could have put one is an error: one that is a link, that
/// belongs to another user, or that group or others may write.
tokenset::Expected<std::filesystem::path> openArtifactCache();

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_ARTIFACTCACHE_H
