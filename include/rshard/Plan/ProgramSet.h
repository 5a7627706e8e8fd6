//===- ProgramSet.h - the programs of a module's roles ----------*- C++ -*-===//

#ifndef RSHARD_PLAN_PROGRAMSET_H
#define RSHARD_PLAN_PROGRAMSET_H

#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include <array>

namespace rshard {

/// The programs of a module of the partitioned phase: one for each role, run by
/// every node of it.
class ProgramSet {
public:
  static constexpr std::array roles = {Role::Client, Role::Comp, Role::Attn};

  /// Emits an error unless there is one program of each role, of one block,
  /// that takes the node's number among those of its role.
  static mlir::FailureOr<ProgramSet> create(mlir::ModuleOp module);

  mlir::func::FuncOp get(Role role) const {
    return programs[static_cast<size_t>(role)];
  }

private:
  ProgramSet() = default;

  std::array<mlir::func::FuncOp, roles.size()> programs;
};

} // namespace rshard

#endif // RSHARD_PLAN_PROGRAMSET_H
