//===- RowElements.h - several elements of a row at once ---------*- C++
//-*-===//

#ifndef RSHARD_LIB_TARGET_CUDA_ROWELEMENTS_H
#define RSHARD_LIB_TARGET_CUDA_ROWELEMENTS_H

#include "DeviceBuilder.h"

namespace rshard::cuda {

/// Elements that one access takes of rows whose parts begin at multiples of
/// `width`: 16 bytes if that divides them, else as many as do.
int64_t elementsPerAccess(int64_t width, mlir::Type element);

/// Threads of a block that handles one row of so many accesses.
int64_t threadsFor(int64_t accesses);

/// The offset of a column of a row, in rows of `width` elements.
Long elementAt(DeviceBuilder &k, Int row, int64_t width, Int column);

/// `count` elements from `offset` on, widened to f32; f32, bf16 or f16. The
/// address is a multiple of the access.
llvm::SmallVector<Float> loadElements(DeviceBuilder &k, Global base,
                                      Long offset, mlir::Type element,
                                      int64_t count, bool constant = false);
/// The same in two parts: what an access loads, in registers of 32 bits where
/// elements are smaller, and its elements. Nothing waits for the access until
/// they are unpacked.
mlir::Type packedType(DeviceBuilder &k, mlir::Type element, int64_t count);
mlir::Value loadPacked(DeviceBuilder &k, Global base, Long offset,
                       mlir::Type element, int64_t count,
                       bool constant = false);
llvm::SmallVector<Float> unpackElements(DeviceBuilder &k, mlir::Value packed,
                                        mlir::Type element, int64_t count);
/// The reverse, rounded to nearest even.
void storeElements(DeviceBuilder &k, llvm::ArrayRef<Float> values, Global base,
                   Long offset, mlir::Type element);

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_ROWELEMENTS_H
