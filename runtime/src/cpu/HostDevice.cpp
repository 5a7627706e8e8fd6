#include "HostDevice.h"
#include "ByteCount.h"
#include "HostPages.h"
#include "rshard/runtime/HostMemory.h"

#include <cstring>

namespace rshard::runtime {

Expected<std::shared_ptr<const PackedWeights>>
HostDevice::pack(const Weights &weights, const Manifest &manifest,
                 const Progress &progress) {
  return weights.pack(manifest, progress);
}

/// Pages of buffers are taken when they are touched, but their addresses at
/// once.
Expected<void> HostDevice::fits(const Weights &weights,
                                const Manifest &manifest,
                                const SessionMemory &memory, MemoryUse use) {
  Expected<uint64_t> packed = weights.bytesToPack(manifest);
  if (!packed)
    return {}; // pack() says why
  uint64_t first = *packed + memory.tables, whole = first + memory.buffers;
  uint64_t available = availableMemory();
  if (use == MemoryUse::AtFirst && first <= available)
    available = addressSpaceLeft();
  // Threads and their stacks take some too.
  uint64_t margin = use == MemoryUse::Whole ? available / 8 : 0;
  if (whole <= available - margin)
    return {};
  return Error{bytesHad(available) + " of memory are available, " +
               bytesNeeded(whole) +
               " are needed: " + bytesNeeded(memory.tables) + " for tables, " +
               bytesNeeded(memory.buffers) + " for caches and buffers and " +
               bytesNeeded(*packed) + " for weights"};
}

Expected<std::shared_ptr<std::byte>> HostDevice::allocate(uint64_t bytes) {
  // A session's capacity costs what is used.
  return mapPages(bytes, PageUse::Sparse, "an arena");
}

Expected<void> HostDevice::write(void *to, std::span<const std::byte> bytes) {
  copy(to, bytes.data(), bytes.size());
  return {};
}

void HostDevice::put(void *to, uint64_t pitch, const void *from, uint64_t bytes,
                     int64_t rows) {
  for (auto row = uint64_t(0); row != static_cast<uint64_t>(rows); ++row)
    std::memcpy(static_cast<std::byte *>(to) + row * pitch,
                static_cast<const std::byte *>(from) + row * bytes, bytes);
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
