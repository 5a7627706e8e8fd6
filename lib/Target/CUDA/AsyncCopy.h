//===- AsyncCopy.h - the tensor memory accelerator ---------------*- C++
//-*-===//
//
// mbarriers, and copies of boxes of a tensor between global and shared memory.
// (PTX ISA, "Asynchronous barriers" and "cp.async.bulk.tensor".)
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_ASYNCCOPY_H
#define RSHARD_LIB_TARGET_CUDA_ASYNCCOPY_H

#include "DeviceBuilder.h"

namespace rshard::cuda {

/// Where things lie in a kernel's dynamic shared memory.
class SharedLayout {
public:
  /// Reserves `bytes` at a multiple of `alignment`; the offset.
  int64_t reserve(int64_t bytes, int64_t alignment = 16) {
    size = (size + alignment - 1) / alignment * alignment + bytes;
    return size - bytes;
  }
  /// Reserves `count` mbarriers.
  int64_t barriers(int64_t count) { return reserve(8 * count, 8); }
  int64_t getSize() const { return size; }

private:
  int64_t size = 0;
};

// An mbarrier is 8 bytes of shared memory; `phase` is the parity of the phase
// that is waited for.
void initBarrier(DeviceBuilder &k, Int barrier, int64_t arrivals);
/// Makes initialised barriers visible to the copy engine.
void fenceBarrierInit(DeviceBuilder &k);
void waitBarrier(DeviceBuilder &k, Int barrier, Int phase);
void arrive(DeviceBuilder &k, Int barrier);
/// Arrives and announces `bytes` of copies that will complete on the barrier.
void arriveExpecting(DeviceBuilder &k, Int barrier, int64_t bytes);
void arriveExpecting(DeviceBuilder &k, Int barrier, Int bytes);

/// A position in a ring of stages: its number and the parity of its use.
struct Stage {
  Int index, phase;
  /// The next one of `stages`.
  Stage next(int64_t stages) const { return skip(1, stages); }
  /// The one that comes `count` later.
  Stage skip(int64_t count, int64_t stages) const;
};

/// Copies the box at `at` (innermost coordinate first) to shared memory; its
/// bytes complete on the barrier. Elements outside of the tensor are zero.
void copyIn(DeviceBuilder &k, Int destination, mlir::Value map, Int barrier,
            llvm::ArrayRef<Int> at);
/// Copies a box out of shared memory, clipped to the tensor, in the thread's
/// current group of copies.
void copyOut(DeviceBuilder &k, mlir::Value map, Int source,
             llvm::ArrayRef<Int> at);
/// Ends the current group of copies out.
void commitCopies(DeviceBuilder &k);
/// Waits until at most `groups` groups of this thread still read shared memory.
void waitCopiesRead(DeviceBuilder &k, int64_t groups);
/// Waits until at most `groups` groups of this thread are incomplete.
void waitCopies(DeviceBuilder &k, int64_t groups);
/// Orders earlier writes to shared memory before later copies out of it.
void fenceCopies(DeviceBuilder &k);

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_ASYNCCOPY_H
