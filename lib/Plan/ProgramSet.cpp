//===- ProgramSet.cpp - the programs of a module's roles ------------------===//

#include "rshard/Plan/ProgramSet.h"

using namespace mlir;
using namespace rshard;

static LogicalResult checkProgram(func::FuncOp program) {
  FunctionType type = program.getFunctionType();
  if (type.getNumInputs() != 1 || !type.getInput(0).isIndex())
    return program.emitOpError("has type ") << type << " vs one of (index)";
  if (!program.getBody().hasOneBlock())
    return program.emitOpError("has ")
           << program.getBody().getBlocks().size() << " blocks vs 1";
  return success();
}

FailureOr<ProgramSet> ProgramSet::create(ModuleOp module) {
  ProgramSet set;
  for (auto func : module.getOps<func::FuncOp>()) {
    auto role = func->getAttrOfType<RoleAttr>(roleAttrName);
    if (!role)
      continue;
    func::FuncOp &program = set.programs[static_cast<size_t>(role.getValue())];
    if (program) {
      InFlightDiagnostic diag =
          func.emitOpError("is the second program of role ")
          << stringifyRole(role.getValue()) << " vs 1";
      diag.attachNote(program.getLoc()) << "the first one";
      return diag;
    }
    program = func;
  }
  for (Role role : roles) {
    if (!set.get(role))
      return module.emitError("holds no program of role ")
             << stringifyRole(role) << " vs a module of the partitioned phase";
    if (failed(checkProgram(set.get(role))))
      return failure();
  }
  return set;
}
