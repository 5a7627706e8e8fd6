//===- PackTarget.h - Where packed weights go
//-------------------------------===//
#ifndef RSHARD_RUNTIME_SRC_PACKTARGET_H
#define RSHARD_RUNTIME_SRC_PACKTARGET_H

#include "Packing.h"
#include "rshard/runtime/Weights.h"

#include <memory>
#include <vector>

namespace rshard::runtime {

/// A manifest's weights, one behind the other.
struct PackList {
  static constexpr uint64_t alignment = 64;
  struct Placed {
    PackJob job;
    std::vector<const Tensor *> tensors;
    size_t slot;
    uint64_t offset;
  };
  std::vector<Placed> jobs;
  std::vector<const void *> slots; ///< set for what is used where it is stored
  uint64_t bytes = 0;
};

/// Memory that weights are packed into.
class PackTarget {
public:
  virtual ~PackTarget() = default;
  /// What is packed into targets of one name is shared.
  virtual std::string name() const = 0;
  /// Whether a weight can be used where the file is mapped.
  virtual bool readsFiles() const = 0;
  virtual Expected<std::shared_ptr<std::byte>> allocate(uint64_t bytes) = 0;
  /// `to` lies in what allocate() returned.
  virtual Expected<void> pack(std::byte *to, const PackJob &job) = 0;
  /// Returns when everything has arrived.
  virtual Expected<void> finish() = 0;
};

} // namespace rshard::runtime

#endif
