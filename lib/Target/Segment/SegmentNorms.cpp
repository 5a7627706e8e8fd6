//===- SegmentNorms.cpp - which norms products compute --------------------===//

#include "SegmentRemarks.h"
#include "rshard/Target/Segment/SegmentPlan.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace rshard {

bool onlyLinearsRead(NormOp norm) {
  return llvm::all_of(norm->getUses(), [&](OpOperand &use) {
    auto linear = dyn_cast<LinearOp>(use.getOwner());
    return linear && linear.getInput() == norm.getResult();
  });
}

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
  if (rules.sumsSquares)
    passFactors();
  for (const Step &step : steps)
    if (step.leftToReaders)
      remark::passed(step.op->getLoc(), segmentRemark(segment, "leave-norm"))
          << remark::reason(step.factorsGiven
                                ? "products of few and of many rows compute it "
                                  "themselves"
                                : "products of few rows compute it themselves");
}

/// The squares of a norm's input are summed by the linear that makes it, if all
/// steps concerned can. There is one place for them and their factors: the next
/// ones are summed when these have been read.
void SegmentPlan::passFactors() {
  const Step *free = steps.begin(); // the first that may sum squares again
  for (Step &step : steps) {
    if (!step.leftToReaders)
      continue;
    auto norm = cast<NormOp>(step.op);
    auto *maker = llvm::find_if(
        steps, [&](const Step &one) { return one.result == norm.getInput(); });
    SmallVector<Step *> readers;
    for (Step &reader : steps)
      if (reader.inputNorm == norm)
        readers.push_back(&reader);
    if (maker == steps.end() || maker < free || !isa<LinearOp>(maker->root) ||
        (maker->inputNorm && !maker->factorsGiven) ||
        !rules.sumsSquares(*maker) ||
        !llvm::all_of(
            readers, [&](Step *reader) { return rules.takesFactors(*reader); }))
      continue;
    maker->sumsSquares = step.factorsGiven = true;
    for (Step *reader : readers)
      reader->factorsGiven = true;
    free = readers.back() + 1;
  }
}

} // namespace rshard
