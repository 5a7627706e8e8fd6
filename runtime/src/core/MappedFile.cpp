#include "rshard/runtime/MappedFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace rshard::runtime {
using tokenset::Error;
using tokenset::Expected;

Expected<MappedFile> MappedFile::open(const std::filesystem::path &path) {
  auto failure = [&](const char *what) {
    return Error{path.string() + ": " + what + ": " + std::strerror(errno)};
  };
  // A pipe would keep the opening waiting for a writer.
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return failure("cannot open");
  struct stat status;
  if (::fstat(descriptor, &status) != 0) {
    Error error = failure("cannot read the size");
    ::close(descriptor);
    return error;
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return Error{path.string() + ": not a regular file"};
  }
  MappedFile file;
  file.length = static_cast<size_t>(status.st_size);
  if (file.length != 0) {
    void *address =
        ::mmap(nullptr, file.length, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED) {
      Error error = failure("cannot map");
      file.length = 0;
      ::close(descriptor);
      return error;
    }
    file.address = static_cast<const std::byte *>(address);
  }
  ::close(descriptor);
  return file;
}

MappedFile::MappedFile(MappedFile &&other) noexcept
    : address(std::exchange(other.address, nullptr)),
      length(std::exchange(other.length, 0)) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(address, other.address);
  std::swap(length, other.length);
  return *this;
}

MappedFile::~MappedFile() {
  if (address)
    ::munmap(const_cast<std::byte *>(address), length);
}

} // namespace rshard::runtime
