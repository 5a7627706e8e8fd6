//===- SegmentNorms.cpp - which norms products compute --------------------===//

#include "SegmentRemarks.h"
#include "rshard/Target/Segment/SegmentPlan.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace rshard {

/// Why linears do not compute `norm` themselves; empty if they may.
static StringRef whyKept(NormOp norm, const FusionRules &rules) {
  if (!onlyLinearsRead(norm))
    return "something else than products reads its result";
  return rules.whyNormStays(norm);
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
    SmallVector<Step *> readers = linearsOf(norm);
    leaveTo(readers, step);
    for (Step *reader : readers)
      reader->inputNorm = norm;
  }
  if (rules.sumsSquares)
    passFactors();
}

/// The squares of a norm's input are summed by the linear that makes it, if all
/// steps concerned can, and its readers apply the factors. The next squares are
/// summed when these factors have been read.
void SegmentPlan::passFactors() {
  const Step *free = steps.begin(); // the first that may sum squares again
  for (Step &step : steps) {
    auto norm = dyn_cast<NormOp>(step.op);
    if (!norm || !step.leftToReaders)
      continue;
    auto *maker = llvm::find_if(
        steps, [&](const Step &one) { return one.result == norm.getInput(); });
    SmallVector<Step *> readers = linearsOf(norm);
    auto whyNot = [&]() -> StringRef {
      if (maker == steps.end() || !isa<LinearOp>(maker->root))
        return "no product makes its rows";
      if (maker < free)
        return "others' squares are still needed there";
      bool can = rules.sumsSquares(*maker) &&
                 !(maker->inputNorm && !maker->factorsGiven) &&
                 llvm::all_of(readers, [&](const Step *reader) {
                   return rules.takesFactors(*reader);
                 });
      return can ? "" : "products of many rows have no kernel for it";
    };
    if (StringRef reason = whyNot(); !reason.empty()) {
      remark::missed(norm.getLoc(), segmentRemark(segment, "pass-factors"))
          << remark::reason("{0}", reason);
      continue;
    }
    remark::passed(norm.getLoc(), segmentRemark(segment, "pass-factors"))
        << remark::reason("the product that makes its rows sums their squares, "
                          "and products of many rows apply its factors");
    maker->sumsSquares = step.factorsGiven = true;
    for (Step *reader : readers)
      reader->factorsGiven = true;
    free = readers.back();
  }
}

} // namespace rshard
