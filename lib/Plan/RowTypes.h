//===- RowTypes.h - gives rows the types that the plan says -----*- C++ -*-===//

#ifndef RSHARD_LIB_PLAN_ROWTYPES_H
#define RSHARD_LIB_PLAN_ROWTYPES_H

#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "rshard/tokenset/Plan.h"

namespace rshard {

RowTypesAttr getRowTypesAttr(mlir::MLIRContext *context,
                             const tokenset::RowTypes &types);

/// What tokenset calls f32, bf16 or f16.
tokenset::ElementType getElement(mlir::Type type);

/// Gives all rows of a module of the model phase the element type
/// `activations`, but f32 to what `main` returns: the head's linear writes it,
/// or else a conversion at the end. Weights, ids and positions stay.
void typeRows(mlir::ModuleOp module, mlir::func::FuncOp main,
              mlir::Type activations);

} // namespace rshard

#endif // RSHARD_LIB_PLAN_ROWTYPES_H
