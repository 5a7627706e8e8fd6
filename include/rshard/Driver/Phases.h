//===- Phases.h - the phases of the compiler --------------------*- C++ -*-===//

#ifndef RSHARD_DRIVER_PHASES_H
#define RSHARD_DRIVER_PHASES_H

#include "mlir/IR/BuiltinOps.h"
#include "rshard/tokenset/Plan.h"
#include <optional>
#include <string>

namespace rshard {

/// In the order in which they follow one another.
enum class Phase { Model, Planned, Partitioned, Scheduled };

/// `model`, `planned`, `partitioned`, `scheduled`.
llvm::StringRef getPhaseName(Phase phase);
std::optional<Phase> findPhase(llvm::StringRef name);

/// The phase of a module, by its ops: drivers of ranks are scheduled, functions
/// with a role are partitioned, a placement is planned.
Phase getPhase(mlir::ModuleOp module);

struct PhaseOptions {
  Phase to = Phase::Scheduled;
  /// For modules of the model phase.
  tokenset::Plan plan;
  /// If not empty: every phase is written there as `N.name.mlir`, N counting
  /// from
  /// 1. The directory is created.
  std::string dumpDirectory;
};

/// Runs the phases after `from` up to `options.to`, and verifies after each.
/// Errors are diagnostics of the module's context.
mlir::LogicalResult runPhases(mlir::ModuleOp module, Phase from,
                              const PhaseOptions &options);

/// The module's text, as every tool writes it.
std::string printModule(mlir::ModuleOp module);

} // namespace rshard

#endif // RSHARD_DRIVER_PHASES_H
