//===- Module.h - An artifact's kernels on a GPU
//----------------------------===//
#ifndef RSHARD_RUNTIME_SRC_CUDA_MODULE_H
#define RSHARD_RUNTIME_SRC_CUDA_MODULE_H

#include "Context.h"
#include "rshard/runtime/Artifact.h"

#include <vector>

namespace rshard::runtime::cuda {

/// The kernels, ready to be launched.
class Module {
public:
  /// Loads the cubin, or has the driver assemble the PTX if it does not take
  /// the cubin. Errors: neither is taken; a kernel of the manifest is missing
  /// or wants more shared memory than a block can have.
  static Expected<Module> create(std::shared_ptr<Context> context,
                                 const DeviceCode &code,
                                 std::span<const KernelSpec> kernels);
  Module() = default;
  Module(Module &&other) noexcept { *this = std::move(other); }
  Module &operator=(Module &&other) noexcept {
    std::swap(context, other.context);
    std::swap(handle, other.handle);
    std::swap(functions, other.functions);
    return *this;
  }
  ~Module();

  /// In the manifest's order.
  FunctionHandle function(size_t kernel) const { return functions[kernel]; }

private:
  std::shared_ptr<Context> context;
  ModuleHandle handle = nullptr;
  std::vector<FunctionHandle> functions;
};

} // namespace rshard::runtime::cuda

#endif
