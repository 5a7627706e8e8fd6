//===- WeightSlots.h - numbers the weights of a program ----------*- C++
//-*-===//

#ifndef RSHARD_TARGET_SEGMENT_WEIGHTSLOTS_H
#define RSHARD_TARGET_SEGMENT_WEIGHTSLOTS_H

#include "RShard/RShard.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace rshard {

/// Hands out slots of the frame in the order of first use. How a weight is
/// packed is the target's business: a word that the runtime understands, and
/// the type of what it makes.
class WeightSlots {
public:
  explicit WeightSlots(mlir::ModuleOp module) : module(module) {}

  /// The weight that a parameter names.
  WeightOp weightOf(ParameterOp parameter) const;

  /// What the parameters name, of one layer and packed as `pack` says into one
  /// weight, read at the builder's insertion point; their columns are
  /// multiplied by `scale` if there is one. `layer` is the converted layer
  /// number, null if the weights have none.
  mlir::Value get(mlir::OpBuilder &ops, llvm::ArrayRef<ParameterOp> parameters,
                  ParameterOp scale, mlir::Value frame, mlir::Value layer,
                  llvm::StringRef pack, mlir::MemRefType type);

  /// Writes the list of ranges to the module.
  void record();

private:
  mlir::ModuleOp module;
  llvm::StringMap<int64_t> first; ///< by "symbols packing scale"
  llvm::SmallVector<mlir::Attribute> ranges;
  int64_t next = 0;
};

} // namespace rshard

#endif // RSHARD_TARGET_SEGMENT_WEIGHTSLOTS_H
