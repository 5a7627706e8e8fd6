#include "rshard/runtime/AtomicFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include <utility>

namespace rshard::runtime {
using tokenset::Error;
using tokenset::Expected;
namespace fs = std::filesystem;

namespace {

/// As many links as Linux follows.
constexpr int maxLinks = 40;

/// What is to be done for a path, decided before anything is written.
struct Destination {
  fs::path file; ///< behind all links
  bool replace = true;
  mode_t mode = 0; ///< of a file that is replaced or made
};

/// A link of procfs (/proc/self/fd/1) stands for an open file, not for the name
/// that reading it shows.
bool isOpenFile(const fs::path &link) {
  struct statfs system;
  fs::path directory = link.has_parent_path() ? link.parent_path() : ".";
  return ::statfs(directory.c_str(), &system) == 0 &&
         system.f_type == PROC_SUPER_MAGIC;
}

/// Fails with errno.
bool resolve(const fs::path &path, Destination &out) {
  out.file = path;
  struct stat status;
  int links = 0;
  for (;;) {
    if (::lstat(out.file.c_str(), &status) != 0) {
      if (errno != ENOENT)
        return false;
      mode_t mask = ::umask(0);
      ::umask(mask);
      out.mode = 0666 & ~mask;
      return true; // a file to be made
    }
    if (!S_ISLNK(status.st_mode))
      break;
    if (isOpenFile(out.file)) {
      out.replace = false;
      return true;
    }
    std::error_code code;
    fs::path target = fs::read_symlink(out.file, code);
    if (code || ++links > maxLinks) {
      errno = code ? code.value() : ELOOP;
      return false;
    }
    out.file = out.file.parent_path() / target;
  }
  if (S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    return false;
  }
  out.replace = S_ISREG(status.st_mode);
  out.mode = status.st_mode & 0777;
  return true;
}

} // namespace

Expected<void> checkWritable(const fs::path &path) {
  auto failure = [&](const char *what) {
    return Error{path.string() + ": " + what + ": " + std::strerror(errno)};
  };
  Destination destination;
  if (!resolve(path, destination))
    return failure("cannot write");
  if (!destination.replace) {
    // Opening a pipe would wait for its reader.
    if (::access(path.c_str(), W_OK) != 0)
      return failure("cannot write");
    return {};
  }
  std::string name = destination.file.string() + ".XXXXXX";
  int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0)
    return failure("cannot create");
  ::close(descriptor);
  ::unlink(name.c_str());
  return {};
}

Expected<void>
writeFileAtomically(const fs::path &path,
                    std::span<const std::span<const std::byte>> pieces) {
  auto failure = [&](const char *what) {
    return Error{path.string() + ": " + what + ": " + std::strerror(errno)};
  };
  Destination destination;
  if (!resolve(path, destination))
    return failure("cannot write");
  bool replace = destination.replace;
  std::string name = destination.file.string();
  int descriptor;
  if (replace) {
    name += ".XXXXXX";
    descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  } else {
    descriptor =
        ::open(name.c_str(), O_WRONLY | O_TRUNC | O_NOCTTY | O_CLOEXEC);
  }
  if (descriptor < 0)
    return failure(replace ? "cannot create" : "cannot write");
  auto abandon = [&](const char *what) {
    Error error = failure(what);
    if (descriptor >= 0)
      ::close(descriptor);
    if (replace)
      ::unlink(name.c_str());
    return error;
  };
  for (std::span<const std::byte> piece : pieces)
    while (!piece.empty()) {
      ssize_t written = ::write(descriptor, piece.data(), piece.size());
      if (written < 0 && errno == EINTR)
        continue;
      if (written <= 0)
        return abandon("cannot write");
      piece = piece.subspan(static_cast<size_t>(written));
    }
  // mkostemp makes private files.
  if (replace && ::fchmod(descriptor, destination.mode) != 0)
    return abandon("cannot set permissions");
  // Before the rename: some file systems say only here that the disk is full.
  if (::close(std::exchange(descriptor, -1)) != 0)
    return abandon("cannot write");
  if (replace && ::rename(name.c_str(), destination.file.c_str()) != 0)
    return abandon("cannot rename into place");
  return {};
}

Expected<void> writeFileAtomically(const fs::path &path,
                                   std::string_view text) {
  std::span<const std::byte> piece =
      std::as_bytes(std::span(text.data(), text.size()));
  return writeFileAtomically(path, std::span(&piece, 1));
}

} // namespace rshard::runtime
