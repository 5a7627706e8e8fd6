//===- RowOps.cpp - what a driver does to rows itself ---------------------===//

#include "rshard/Target/Segment/RowOps.h"
#include "RShard/RShard.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;

namespace rshard {

StringAttr storageOf(Value memory) {
  while (Operation *op = memory.getDefiningOp()) {
    if (auto get = dyn_cast<GetBufferOp>(op))
      return get.getBufferAttr().getAttr();
    if (auto get = dyn_cast<GetTableOp>(op))
      return get.getTableAttr().getAttr();
    auto view = dyn_cast<ViewLikeOpInterface>(op);
    if (!view)
      return {};
    memory = view.getViewSource();
  }
  return {};
}

SmallVector<Operation *> collectRowOps(ModuleOp module) {
  SmallVector<Operation *> found;
  module.walk([&](Operation *op) {
    if (isa<GatherOp, AppendRowsOp, AttendOp>(op))
      found.push_back(op);
  });
  return found;
}

LogicalResult checkRowElement(Operation *op, Value rows, TypeRange elements) {
  Type element = cast<ShapedType>(rows.getType()).getElementType();
  if (llvm::is_contained(elements, element))
    return success();
  InFlightDiagnostic diag = op->emitOpError("has no kernel for rows of ")
                            << element << " vs ";
  llvm::interleave(elements, diag, " or ");
  return diag;
}

} // namespace rshard
