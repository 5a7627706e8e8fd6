//===- WeightUpload.h - Weights packed on the host, used on a GPU
//-----------===//
#ifndef RSHARD_RUNTIME_SRC_CUDA_WEIGHTUPLOAD_H
#define RSHARD_RUNTIME_SRC_CUDA_WEIGHTUPLOAD_H

#include "Context.h"
#include "PackTarget.h"

#include <array>

namespace rshard::runtime::cuda {

/// Packs into page-locked memory on all threads, one half of it while the other
/// is copied.
class WeightUpload final : public PackTarget {
public:
  explicit WeightUpload(std::shared_ptr<Context> context)
      : context(std::move(context)) {}

  std::string name() const override { return context->name(); }
  bool readsFiles() const override { return false; }
  Expected<std::shared_ptr<std::byte>> allocate(uint64_t bytes) override;
  Expected<void> pack(std::byte *to, const PackJob &job) override;
  Expected<void> finish() override;

private:
  struct Half {
    std::shared_ptr<std::byte> memory;
    uint64_t bytes = 0;
  };
  Expected<void> copy(std::byte *to, uint64_t bytes);

  std::shared_ptr<Context> context;
  Stream stream;
  std::array<Half, 2> halves;
  size_t current = 0; ///< the half to pack into
};

} // namespace rshard::runtime::cuda

#endif
