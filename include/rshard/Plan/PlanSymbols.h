//===- PlanSymbols.h - a plan as symbols of a module ------------*- C++ -*-===//

#ifndef RSHARD_PLAN_PLANSYMBOLS_H
#define RSHARD_PLAN_PLANSYMBOLS_H

#include "RShard/RShard.h"
#include "mlir/IR/BuiltinOps.h"
#include "rshard/tokenset/Mask.h"
#include "rshard/tokenset/Plan.h"

namespace rshard {

/// The one rshard.layers of a module of the model or planned phase; it stands
/// in a function of the module, beside one block of other ops. Emits an error
/// otherwise.
mlir::FailureOr<LayersOp> findLayers(mlir::ModuleOp module);

/// Declares the plan in a module of the model phase: shardings @R, @S and @T,
/// grid @grid, @placement; every attention names the grid; rows have the plan's
/// types. Emits an error if the module is not of the model phase or the client
/// would run every layer.
mlir::LogicalResult attachPlan(mlir::ModuleOp module,
                               const tokenset::Plan &plan);

/// Reads the plan back from a module of any later phase; emits an error if
/// there is none.
mlir::FailureOr<tokenset::Plan> readPlan(mlir::ModuleOp module);

/// The class of routes of every layer of a module of the partitioned or
/// scheduled phase; emits an error if the module does not say or the client
/// would run every layer.
mlir::FailureOr<llvm::ArrayRef<int32_t>>
readLayerClasses(mlir::ModuleOp module, const tokenset::Plan &plan);

/// The types of the plan's rows.
tokenset::RowTypes getRowTypes(PlacementOp placement);

/// A mask of the dialect as the token-set library knows it.
tokenset::Mask getMask(MaskAttr mask);

} // namespace rshard

#endif // RSHARD_PLAN_PLANSYMBOLS_H
