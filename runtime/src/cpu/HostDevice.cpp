#include "HostDevice.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <sys/mman.h>

namespace rshard::runtime {

Expected<std::shared_ptr<const PackedWeights>>
HostDevice::pack(const Weights &weights, const Manifest &manifest,
                 const Progress &progress) {
  return weights.pack(manifest, progress);
}

/// Pages are taken when touched, so nobody knows.
Expected<void> HostDevice::fits(const Weights &weights,
                                const Manifest &manifest, uint64_t bytes) {
  return {};
}

Expected<std::shared_ptr<std::byte>> HostDevice::allocate(uint64_t bytes) {
  // Pages are taken when touched: a session's capacity costs what is used.
  void *memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return Error{"no memory for an arena of " + std::to_string(bytes) +
                 " bytes: " + std::strerror(errno)};
  return std::shared_ptr<std::byte>(
      static_cast<std::byte *>(memory),
      [bytes](std::byte *address) { ::munmap(address, bytes); });
}

Expected<void> HostDevice::write(void *to, std::span<const std::byte> bytes) {
  copy(to, bytes.data(), bytes.size());
  return {};
}

void HostDevice::show(std::span<const std::vector<int32_t> *const> lists,
                      std::span<rshard_table> shown) {
  for (size_t i = 0; i != lists.size(); ++i)
    shown[i] = {lists[i]->data(), static_cast<int64_t>(lists[i]->size())};
}

void HostDevice::run(int32_t kernel,
                     std::span<const rshard_argument> arguments) {
  launched = true;
}

void HostDevice::poison(void *data, uint64_t bytes) {
  std::memset(data, 0xff, bytes);
}

void HostDevice::copy(void *to, const void *from, uint64_t bytes) {
  std::memcpy(to, from, bytes);
}

const void *HostDevice::fetch(const void *data, uint64_t bytes) {
  (void)bytes;
  return data;
}

Expected<void> HostDevice::finish() {
  if (launched)
    return Error{"the host code launches kernels, the cpu has none"};
  return {};
}

} // namespace rshard::runtime
