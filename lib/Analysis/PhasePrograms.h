//===- PhasePrograms.h - C6 of each phase -----------------------*- C++ -*-===//

#ifndef RSHARD_LIB_ANALYSIS_PHASEPROGRAMS_H
#define RSHARD_LIB_ANALYSIS_PHASEPROGRAMS_H

#include "ProgramTrace.h"
#include "rshard/Plan/RouteSet.h"
#include "rshard/tokenset/Plan.h"

namespace rshard {

/// The driver of a module of the scheduled phase, which has buffers; null in
/// the partitioned phase. Emits an error unless it is there and nothing else
/// exchanges.
mlir::FailureOr<mlir::func::FuncOp> findDriver(mlir::ModuleOp module);

/// See verifyExchanges.
mlir::FailureOr<int64_t>
verifyRolePrograms(mlir::ModuleOp module, mlir::ArrayRef<int32_t> layerClasses,
                   const tokenset::Plan &plan, const RouteSet &routes);
mlir::FailureOr<int64_t> verifyDriver(mlir::func::FuncOp driver,
                                      mlir::ArrayRef<int32_t> layerClasses,
                                      const tokenset::Plan &plan,
                                      const RouteSet &routes);

} // namespace rshard

#endif // RSHARD_LIB_ANALYSIS_PHASEPROGRAMS_H
