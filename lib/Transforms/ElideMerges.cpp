//===- ElideMerges.cpp - merges of one partial a row ----------------------===//

#include "ElideMerges.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/BitVector.h"

using namespace mlir;

namespace rshard {

static remark::RemarkOpts remarkOf(func::FuncOp segment) {
  return remark::RemarkOpts::name("elide-merge")
      .category("schedule")
      .function(segment.getSymName());
}

/// Removes the merges of one segment; returns the arguments that nothing reads
/// any more.
static BitVector elideIn(func::FuncOp segment) {
  BitVector dead(segment.getNumArguments());
  for (auto merge : llvm::make_early_inc_range(segment.getOps<MergeOp>())) {
    Type partial = merge.getOutput().getType(),
         result = merge.getResult().getType();
    if (partial != result) {
      remark::missed(merge.getLoc(), remarkOf(segment)) << remark::reason(
          "partials are {0} vs {1} of the merged rows",
          getElementTypeOrSelf(partial), getElementTypeOrSelf(result));
      continue;
    }
    remark::passed(merge.getLoc(), remarkOf(segment))
        << remark::reason("every row has one partial");
    Value rest[] = {merge.getLse(), merge.getBegin(), merge.getSource()};
    merge.getResult().replaceAllUsesWith(merge.getOutput());
    merge.erase();
    for (Value value : rest)
      if (auto argument = dyn_cast<BlockArgument>(value);
          argument && argument.use_empty())
        dead.set(argument.getArgNumber());
  }
  return dead;
}

void elideMerges(ModuleOp module) {
  for (auto segment : module.getOps<func::FuncOp>()) {
    BitVector dead = elideIn(segment);
    if (dead.none() || failed(segment.eraseArguments(dead)))
      continue;
    module.walk([&](func::CallOp call) {
      if (call.getCallee() == segment.getSymName())
        call->eraseOperands(dead);
    });
  }
}

} // namespace rshard
