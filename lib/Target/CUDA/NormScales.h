//===- NormScales.h - norm scales that weights can hold ----------*- C++
//-*-===//
//
// A product of normalised rows is (x * factor * scale) w^T, with one factor a
// row: the scale can be multiplied into the columns of w when weights are
// packed, and the factor into the product's sums. Nothing is left of the norm
// but the sum of a row's squares.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_NORMSCALES_H
#define RSHARD_LIB_TARGET_CUDA_NORMSCALES_H

#include "RShard/RShard.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace rshard::cuda {

class NormScales {
public:
  /// `module` holds all segments; products have kernels for the norms that
  /// `canNormalise` says.
  NormScales(mlir::ModuleOp module,
             llvm::function_ref<bool(NormOp)> canNormalise);

  /// Whether the weights of all linears that read the norm's result hold its
  /// scale. A weight does if all that it is multiplied with has been scaled by
  /// it, in the same layers: otherwise it would have to be there twice.
  bool canFold(NormOp norm) const;

private:
  /// The scale that a weight holds; null: none.
  llvm::DenseMap<mlir::StringAttr, mlir::StringAttr> scaleOf;
};

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_NORMSCALES_H
