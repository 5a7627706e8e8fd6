//===- Device.h - Where a session's memory lies and its steps run
//-----------===//
#ifndef RSHARD_RUNTIME_SRC_DEVICE_H
#define RSHARD_RUNTIME_SRC_DEVICE_H

#include "rshard/runtime/ABI.h"
#include "rshard/runtime/Artifact.h"
#include "rshard/runtime/Weights.h"

#include <memory>
#include <span>
#include <vector>

namespace rshard::runtime {

/// The memory that a session takes.
struct SessionMemory {
  /// In the host's memory, there from the beginning.
  uint64_t tables = 0;
  /// On the device: caches, and what a step uses. On the host it is reserved at
  /// first and taken as a text needs it.
  uint64_t buffers = 0;
};

/// When memory has to be there.
enum class MemoryUse {
  AtFirst, ///< a session can begin
  Whole    ///< a text can fill its capacity
};

/// What differs between the devices that a session can run on. A session has
/// one, for all its ranks. Addresses that come from it are its own: nobody else
/// reads or writes there, generated host code only computes with them.
class Device {
public:
  virtual ~Device() = default;

  /// The device that the artifact was compiled for; `ordinal` chooses among
  /// several. Errors: this machine has none, or another one.
  static Expected<std::unique_ptr<Device>> create(const Artifact &artifact,
                                                  int ordinal);

  // Before the first step.

  /// Whether its kernels can address so many positions.
  virtual Expected<void> reaches(const Manifest &manifest,
                                 int64_t positions) = 0;
  /// As Weights::pack; the slots are addresses of the device.
  virtual Expected<std::shared_ptr<const PackedWeights>>
  pack(const Weights &weights, const Manifest &manifest,
       const Progress &progress) = 0;
  /// Whether there is memory for the weights and for a session beside them.
  virtual Expected<void> fits(const Weights &weights, const Manifest &manifest,
                              const SessionMemory &memory, MemoryUse use) = 0;
  /// Zeros.
  virtual Expected<std::shared_ptr<std::byte>> allocate(uint64_t bytes) = 0;
  virtual Expected<void> write(void *to, std::span<const std::byte> bytes) = 0;
  /// What goes into rshard_frame::stream.
  virtual void *stream() = 0;

  // In a step, in the order of the calls, from begin() to finish(). Nothing
  // fails here: the device keeps the first error for finish() and does nothing
  // behind it.

  /// `rows`: tokens of the step.
  virtual void begin(int64_t rows) = 0;

  /// Copies `rows` rows of `bytes` bytes, one behind the other in the caller's
  /// memory (the host's or the device's), to rows that begin `pitch` bytes
  /// apart.
  virtual void put(void *to, uint64_t pitch, const void *from, uint64_t bytes,
                   int64_t rows) = 0;
  /// Puts the route tables of all ranks where host code and kernels read them.
  /// `shown` has an entry for each of `lists`.
  virtual void show(std::span<const std::vector<int32_t> *const> lists,
                    std::span<rshard_table> shown) = 0;
  /// Launches a kernel of the manifest. Arguments are addresses of the device
  /// or of shown tables.
  virtual void run(int32_t kernel,
                   std::span<const rshard_argument> arguments) = 0;
  /// Every byte 0xff: NaN as a float, -1 as an index.
  virtual void poison(void *data, uint64_t bytes) = 0;
  virtual void copy(void *to, const void *from, uint64_t bytes) = 0;
  /// Brings results to the host. What it returns holds them from finish() to
  /// the next step.
  virtual const void *fetch(const void *data, uint64_t bytes) = 0;
  /// Returns when everything has been done.
  virtual Expected<void> finish() = 0;
};

} // namespace rshard::runtime

#endif
