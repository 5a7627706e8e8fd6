//===- WeightRegistry.h - numbers the weights of a program -------*- C++
//-*-===//

#ifndef RSHARD_LIB_TARGET_CPU_WEIGHTREGISTRY_H
#define RSHARD_LIB_TARGET_CPU_WEIGHTREGISTRY_H

#include "RShard/RShard.h"
#include "mlir/IR/BuiltinOps.h"
#include "rshard/Target/CPU/KernelLibrary.h"
#include "llvm/ADT/StringMap.h"

namespace rshard::cpu {

/// How the runtime packs a weight.
enum class Packing { Panels, Vector, Rows };

/// Hands out slots of the frame in the order of first use.
class WeightRegistry {
public:
  WeightRegistry(mlir::ModuleOp module, const TargetShape &shape)
      : module(module), shape(shape) {}

  /// The element type in memory.
  static ElementKind elementOf(WeightOp weight);

  /// The packed form of what `parameter` names, read at the builder's insertion
  /// point: [panels, K, columns], [N] or [rows, columns]. `layer` is the
  /// converted layer number, null if the weight has none.
  mlir::Value get(mlir::OpBuilder &ops, ParameterOp parameter,
                  mlir::Value frame, mlir::Value layer, Packing packing);

  /// Writes the list of ranges to the module.
  void record();

private:
  mlir::ModuleOp module;
  TargetShape shape;
  llvm::StringMap<int64_t> first; ///< by "symbol packing"
  llvm::SmallVector<mlir::Attribute> ranges;
  int64_t next = 0;
};

} // namespace rshard::cpu

#endif // RSHARD_LIB_TARGET_CPU_WEIGHTREGISTRY_H
