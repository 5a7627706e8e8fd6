//===- CommandList.h - What a step asks of a stream
//-------------------------===//
#ifndef RSHARD_RUNTIME_SRC_CUDA_COMMANDLIST_H
#define RSHARD_RUNTIME_SRC_CUDA_COMMANDLIST_H

#include "Launch.h"
#include "Module.h"

#include <span>
#include <vector>

namespace rshard::runtime::cuda {

/// Kernels, copies and fills with all that they depend on, as bytes: lists of
/// the same bytes do the same.
class CommandList {
public:
  /// `kernels` outlives the list.
  explicit CommandList(std::span<const KernelSpec> kernels = {})
      : kernels(kernels) {}

  void launch(size_t kernel, Launch &launch);
  void copy(Address to, Address from, uint64_t bytes);
  void fill(Address to, unsigned char value, uint64_t bytes);
  void clear() { used = 0; }
  bool empty() const { return used == 0; }
  std::span<const std::byte> bytes() const { return {encoded.data(), used}; }

  /// Puts the commands into the stream.
  Expected<void> enqueue(const DriverApi &api, const Module &module,
                         StreamHandle stream);

private:
  template <typename Command> void append(const Command &command);
  void append(const void *data, size_t bytes);

  std::span<const KernelSpec> kernels;
  /// Commands; behind a launch its parameters. The first `used` bytes.
  std::vector<std::byte> encoded;
  size_t used = 0;
  std::vector<void *> pointers; ///< to the parameters of a launch
};

} // namespace rshard::runtime::cuda

#endif
