//===- Launch.h - From a kernel's arguments to what the driver takes
//--------===//
#ifndef RSHARD_RUNTIME_SRC_CUDA_LAUNCH_H
#define RSHARD_RUNTIME_SRC_CUDA_LAUNCH_H

#include "DriverApi.h"
#include "rshard/runtime/ABI.h"
#include "rshard/runtime/Kernel.h"

#include <span>
#include <vector>

namespace rshard::runtime::cuda {

/// The grid and the parameters of one launch, derived as the manifest says
/// (Kernel.h). Made to be filled again and again.
class Launch {
public:
  /// Room for any of these kernels, so that derive() does not allocate.
  void reserve(std::span<const KernelSpec> kernels);
  /// `arguments` are device addresses. Errors name the kernel.
  Expected<void> derive(const DriverApi &api, const KernelSpec &spec,
                        std::span<const rshard_argument> arguments,
                        int multiprocessors);

  /// 0: there is nothing to launch, and no parameters were derived.
  uint32_t blocks() const { return grid; }
  /// Where each parameter's value lies, as cuLaunchKernelEx takes it.
  void **parameters() { return pointers.data(); }

private:
  union Value {
    Address address;
    int32_t number;
    TensorMap map;
  };
  uint32_t grid = 0;
  std::vector<Value> values;
  std::vector<void *> pointers;
};

} // namespace rshard::runtime::cuda

#endif
