#include "AtomicFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rshard::runtime {
using tokenset::Error;
using tokenset::Expected;

Expected<void>
writeFileAtomically(const std::filesystem::path &path,
                    std::span<const std::span<const std::byte>> pieces) {
  auto failure = [&](const char *what) {
    return Error{path.string() + ": " + what + ": " + std::strerror(errno)};
  };
  // A device or pipe (/dev/null, /dev/stdout) cannot be replaced: write
  // through.
  struct stat status;
  bool replace = ::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode);
  std::string name = path.string();
  int descriptor;
  if (replace) {
    name += ".XXXXXX";
    descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  } else {
    descriptor = ::open(name.c_str(), O_WRONLY | O_CLOEXEC);
  }
  if (descriptor < 0)
    return failure("cannot create");
  auto abandon = [&](const char *what) {
    Error error = failure(what);
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
  if (replace) {
    // mkostemp makes private files; a result has the user's ordinary
    // permissions.
    mode_t mask = ::umask(0);
    ::umask(mask);
    ::fchmod(descriptor, 0666 & ~mask);
    if (::rename(name.c_str(), path.c_str()) != 0)
      return abandon("cannot rename into place");
  }
  if (::close(descriptor) != 0)
    return failure("cannot close");
  return {};
}

} // namespace rshard::runtime
