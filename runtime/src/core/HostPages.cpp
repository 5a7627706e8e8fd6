#include "HostPages.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <sys/mman.h>

namespace rshard::runtime {
using tokenset::Error;
using tokenset::Expected;

Expected<std::shared_ptr<std::byte>> mapPages(uint64_t bytes, PageUse use,
                                              std::string_view what) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  if (use == PageUse::Sparse)
    flags |= MAP_NORESERVE;
  void *memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED)
    return Error{"no memory for " + std::string(what) + " of " +
                 std::to_string(bytes) + " bytes: " + std::strerror(errno)};
  // Fewer page faults and translations.
  if (use == PageUse::Dense)
    ::madvise(memory, bytes, MADV_HUGEPAGE);
  return std::shared_ptr<std::byte>(
      static_cast<std::byte *>(memory),
      [bytes](std::byte *address) { ::munmap(address, bytes); });
}

} // namespace rshard::runtime
