//===- Wgmma.h - matrix products of a warpgroup ------------------*- C++
//-*-===//
//
// wgmma: 128 threads multiply a 64-row tile of A, from shared memory or
// registers, by a tile of B in shared memory and accumulate in f32 registers.
// (PTX ISA, "Asynchronous warpgroup level matrix instructions".)
//
// Operands in shared memory lie in panels whose rows have 128 bytes, with the
// 128-byte swizzle that the tensor memory accelerator applies.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_WGMMA_H
#define RSHARD_LIB_TARGET_CUDA_WGMMA_H

#include "DeviceBuilder.h"

namespace rshard::cuda {

/// The descriptor of a 128-byte-swizzled operand. `leading` and `stride` are
/// the byte offsets that the descriptor format calls so; K-major operands
/// ignore `leading`, which is then 16, and have 1024 bytes from 8 rows to the
/// next 8.
Long describeOperand(DeviceBuilder &k, Int address, int64_t leading = 16,
                     int64_t stride = 1024);
/// The descriptor moved on by `bytes`, a multiple of 16.
Long advance(Long descriptor, Int bytes);

/// A sequence of wgmma instructions that are issued and committed together.
struct Products {
  /// One instruction: 16 values of k. Offsets count 16 bytes from the
  /// descriptors; A in registers takes the next four of them instead.
  struct Step {
    int64_t a = 0, b = 0;
    int64_t accumulator = 0; ///< its first register
  };
  int64_t columns = 0; ///< of B; a thread accumulates columns / 2 values
  mlir::Type element;  ///< bf16 or f16
  bool transposeB = false;
  llvm::SmallVector<Step> steps;
};

/// Issues the products. The first step of every accumulator overwrites it if
/// `keep` is 0 and adds to it otherwise. The results are in flight until
/// `waitProducts`.
Values multiply(DeviceBuilder &k, const Products &products, Long a, Long b,
                mlir::ValueRange accumulators, Int keep);
/// The same into one new accumulator, whose first step overwrites it.
Values multiply(DeviceBuilder &k, const Products &products, Long a, Long b);
/// The same with A in registers, four for each step; adds.
Values multiplyRegisters(DeviceBuilder &k, const Products &products,
                         mlir::ValueRange a, Long b,
                         mlir::ValueRange accumulators);
/// Waits until at most `groups` issued sequences are in flight, and gives the
/// accumulators of one that has ended. `alive` registers are read until then.
Values waitProducts(DeviceBuilder &k, int64_t groups,
                    mlir::ValueRange accumulators, mlir::ValueRange alive = {});

/// Stores 1, 2 or 4 or loads four 8x8 matrices of 16-bit values, one register
/// of each thread for each; the thread's address is that of row lane % 8 of
/// matrix lane / 8.
void storeMatrices(DeviceBuilder &k, Int address,
                   llvm::ArrayRef<Int> registers);
llvm::SmallVector<Int> loadMatrices(DeviceBuilder &k, Int address);

/// Registers per thread from here on, for the whole warpgroup.
void setRegisters(DeviceBuilder &k, int64_t count, bool increase);

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_WGMMA_H
