//===- RowAccesses.h - the threads of one row --------------------*- C++
//-*-===//

#ifndef RSHARD_LIB_TARGET_CUDA_ROWACCESSES_H
#define RSHARD_LIB_TARGET_CUDA_ROWACCESSES_H

#include "DeviceBuilder.h"

namespace rshard::cuda {

/// The accesses of one row, dealt to the threads of its block.
class RowAccesses {
public:
  /// `perAccess` divides `width`; both count elements.
  RowAccesses(int64_t width, int64_t perAccess)
      : accesses(width / perAccess), perAccess(perAccess) {}

  int64_t threads() const;
  /// Calls `body` with the first column of every access of this thread.
  void forEach(DeviceBuilder &k, llvm::function_ref<void(Int)> body) const;

private:
  int64_t accesses, perAccess;
};

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_ROWACCESSES_H
