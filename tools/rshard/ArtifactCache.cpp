//===- ArtifactCache.cpp - where run keeps what it compiled ---------------===//

#include "ArtifactCache.h"
#include "rshard/runtime/Hash.h"
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

using namespace rshard;
using namespace rshard::tool;
using tokenset::Error;
using tokenset::Expected;
namespace fs = std::filesystem;

/// What lets somebody else put files into `directory`; empty: nothing.
static std::string whyShared(const fs::path &directory) {
  struct stat status;
  // Not stat: whoever made a link decides where it leads.
  if (::lstat(directory.c_str(), &status) != 0)
    return std::strerror(errno);
  if (!S_ISDIR(status.st_mode))
    return "not a directory";
  if (status.st_uid != ::geteuid())
    return "owned by user " + std::to_string(status.st_uid) + " vs " +
           std::to_string(::geteuid());
  if (status.st_mode & (S_IWGRP | S_IWOTH)) {
    char mode[8];
    std::snprintf(mode, sizeof(mode), "%04o",
                  static_cast<unsigned>(status.st_mode & 07777));
    return std::string("writable by others: mode ") + mode + " vs 0700";
  }
  return "";
}

static Error unusable(const fs::path &directory, const std::string &why) {
  return Error{directory.string() + ": cannot keep compiled code: " + why +
               ": set XDG_CACHE_HOME to a directory of yours, or run what "
               "rshard compile -o wrote"};
}

Expected<fs::path> tool::openArtifactCache() {
  std::error_code code;
  fs::path directory = runtime::cacheDirectory();
  if (directory.empty()) {
    fs::path temporary = fs::temp_directory_path(code);
    if (code)
      return Error{"no directory for compiled artifacts: neither "
                   "XDG_CACHE_HOME nor HOME is set, and there is no temporary "
                   "directory: " +
                   code.message()};
    directory = temporary / ("rshard-" + std::to_string(::geteuid()));
  } else {
    fs::create_directories(directory, code);
    if (code)
      return unusable(directory, code.message());
    directory /= "artifacts";
  }
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return unusable(directory, std::strerror(errno));
  if (std::string why = whyShared(directory); !why.empty())
    return Error{directory.string() +
                 ": not a safe place for compiled code: " + why +
                 ": remove it, or set XDG_CACHE_HOME to a directory of yours"};
  return directory;
}
