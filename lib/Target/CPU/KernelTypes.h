//===- KernelTypes.h - argument types and names of kernels -------*- C++
//-*-===//

#ifndef RSHARD_LIB_TARGET_CPU_KERNELTYPES_H
#define RSHARD_LIB_TARGET_CPU_KERNELTYPES_H

#include "KernelBuilder.h"
#include "rshard/Target/CPU/KernelLibrary.h"

namespace rshard::cpu {

/// The argument types of kernels.
class KernelTypes {
public:
  explicit KernelTypes(mlir::MLIRContext *context) : ops(context) {}

  mlir::Type element(ElementKind kind);
  /// memref<?xW> of f32 unless said otherwise.
  mlir::Type matrix(int64_t width, ElementKind kind = ElementKind::F32);
  /// memref<Wxf32>
  mlir::Type vector(int64_t width);
  /// memref<?xi32>
  mlir::Type table();
  mlir::Type boolean() { return ops.getI1Type(); }

private:
  mlir::Builder ops;
};

/// Parts of names: a function's name tells its parameters apart.
llvm::StringRef nameOf(ElementKind kind);
llvm::StringRef nameOf(std::optional<Activation> activation);
/// The exact value, as the hexadecimal digits of its f32 pattern.
std::string nameOf(double value);

/// Applies `activation`, if there is one, to a scalar or vector.
Float activate(std::optional<Activation> activation, Float x);

} // namespace rshard::cpu

#endif // RSHARD_LIB_TARGET_CPU_KERNELTYPES_H
