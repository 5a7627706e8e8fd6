//===- CudaDevice.h - A session on a GPU
//------------------------------------===//
#ifndef RSHARD_RUNTIME_SRC_CUDA_CUDADEVICE_H
#define RSHARD_RUNTIME_SRC_CUDA_CUDADEVICE_H

#include "Device.h"
#include "GraphCache.h"
#include "rshard/runtime/Artifact.h"

#include <optional>

namespace rshard::runtime::cuda {

/// One stream holds all that a session does: kernels of all ranks, messages
/// between them, tables and results. So nothing waits but finish().
class CudaDevice final : public Device {
public:
  static Expected<std::unique_ptr<Device>> create(const Artifact &artifact,
                                                  int ordinal);
  ~CudaDevice() override;

  Expected<void> reaches(const Manifest &manifest, int64_t positions) override;
  Expected<std::shared_ptr<const PackedWeights>>
  pack(const Weights &weights, const Manifest &manifest,
       const Progress &progress) override;
  Expected<void> fits(const Weights &weights, const Manifest &manifest,
                      const SessionMemory &memory, MemoryUse use) override;
  Expected<std::shared_ptr<std::byte>> allocate(uint64_t bytes) override;
  Expected<void> write(void *to, std::span<const std::byte> bytes) override;
  void *stream() override { return queue.get(); }
  void begin(int64_t rows) override;
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
  CudaDevice() = default;
  void keep(Expected<void> result);
  void keep(Result result, const char *what) {
    if (result != 0)
      keep(context->driver().check(result, what));
  }
  void play();
  bool growTables(uint64_t bytes);
  /// The place of a table in the device's memory, for a place in the host's;
  /// any other address as it is.
  void *onDevice(void *data) const;

  std::shared_ptr<Context> context;
  std::vector<KernelSpec> kernels;
  Module module;
  Stream queue;
  /// The tables of a step, in both memories.
  std::shared_ptr<std::byte> hostTables, deviceTables;
  uint64_t tableBytes = 0;
  std::shared_ptr<std::byte> results;
  uint64_t resultBytes = 0;
  Launch launch;
  /// What has not been put into the stream yet: in a step of few rows all of
  /// it, for it may be what an earlier step did.
  CommandList commands;
  bool recording = false;
  GraphCache graphs;
  std::vector<rshard_argument> translated;
  std::optional<Error> failure; ///< the first since the last finish()
};

} // namespace rshard::runtime::cuda

#endif
