//===- HostDevice.h - The machine's own memory and processors
//---------------===//
#ifndef RSHARD_RUNTIME_SRC_HOSTDEVICE_H
#define RSHARD_RUNTIME_SRC_HOSTDEVICE_H

#include "Device.h"

namespace rshard::runtime {

/// Everything is done at once and where it is: tables are read where the routes
/// filled them, weights where the file is mapped or where they were packed, and
/// results where the code wrote them.
class HostDevice final : public Device {
public:
  Expected<void> reaches(const Manifest &manifest, int64_t positions) override {
    return {}; // host code computes in 64 bits
  }
  Expected<std::shared_ptr<const PackedWeights>>
  pack(const Weights &weights, const Manifest &manifest,
       const Progress &progress) override;
  Expected<void> fits(const Weights &weights, const Manifest &manifest,
                      const SessionMemory &memory, MemoryUse use) override;
  Expected<std::shared_ptr<std::byte>> allocate(uint64_t bytes) override;
  Expected<void> write(void *to, std::span<const std::byte> bytes) override;
  void *stream() override { return nullptr; }
  void begin(int64_t rows) override {}
  void put(void *to, uint64_t pitch, const void *from, uint64_t bytes,
           int64_t rows) override;
  void show(std::span<const std::vector<int32_t> *const> lists,
            std::span<rshard_table> shown) override;
  void run(int32_t kernel, std::span<const rshard_argument> arguments) override;
  void poison(void *data, uint64_t bytes) override;
  void copy(void *to, const void *from, uint64_t bytes) override;
  const void *fetch(const void *data, uint64_t bytes) override;
  Expected<void> finish() override;

private:
  bool launched = false;
};

} // namespace rshard::runtime

#endif
