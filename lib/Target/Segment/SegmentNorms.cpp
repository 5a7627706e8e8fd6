//===- SegmentNorms.cpp - which norms products compute --------------------===//

#include "SegmentRemarks.h"
#include "rshard/Target/Segment/SegmentPlan.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace rshard {

/// Why linears do not compute `norm` themselves; empty if they may.
static StringRef whyKept(NormOp norm, const FusionRules &rules) {
  if (!llvm::all_of(norm->getUses(), [&](OpOperand &use) {
        auto linear = dyn_cast<LinearOp>(use.getOwner());
        return linear && linear.getInput() == norm.getResult();
      }))
    return "something else than products reads its result";
  return rules.inputNorms(norm) ? "" : "no product has a kernel for it";
}

/// A norm whose result only linears read may be left to them.
void SegmentPlan::leaveNorms() {
  for (Step &step : steps) {
    auto norm = dyn_cast<NormOp>(step.op);
    if (!norm)
      continue;
    if (StringRef reason = whyKept(norm, rules); !reason.empty()) {
      remark::missed(norm.getLoc(), segmentRemark(segment, "leave-norm"))
          << remark::reason("{0}", reason);
      continue;
    }
    remark::passed(norm.getLoc(), segmentRemark(segment, "leave-norm"))
        << remark::reason("products of few rows compute it themselves");
    step.leftToReaders = true;
    for (Step &reader : steps) {
      auto linear = dyn_cast<LinearOp>(reader.root);
      if (!linear || linear.getInput() != norm.getResult())
        continue;
      reader.inputNorm = norm;
      reader.reads.push_back(norm.getInput());
      // All of it is read for every element of the result.
      llvm::erase_if(reader.inPlace, [&](const Step::TakeOver &taken) {
        return taken.from == norm.getInput();
      });
    }
  }
}

} // namespace rshard
