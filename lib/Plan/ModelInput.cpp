//===- ModelInput.cpp - what a model's step takes -------------------------===//

#include "rshard/Plan/ModelInput.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace rshard;

bool rshard::isAttentionOnly(LayersOp layers) {
  TypeRange inputs = layers->getParentOfType<func::FuncOp>().getArgumentTypes();
  return !inputs.empty() && inputs.front() == layers.getInput().getType();
}

bool rshard::takesTokens(ModuleOp scheduled) {
  return !!scheduled.lookupSymbol<TableOp>(tokenTableName);
}
