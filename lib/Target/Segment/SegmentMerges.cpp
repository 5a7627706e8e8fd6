//===- SegmentMerges.cpp - which merges products do without ---------------===//

#include "SegmentRemarks.h"
#include "rshard/Target/Segment/SegmentPlan.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace rshard {

/// Why the steps that read the result of `merge`, linears among them `readers`,
/// cannot read a single partial in its place; empty if they can.
static StringRef whyKept(MergeOp merge, ArrayRef<Step *> readers,
                         const FusionRules &rules) {
  if (!llvm::all_of(merge->getUses(), [&](OpOperand &use) {
        auto linear = dyn_cast<LinearOp>(use.getOwner());
        return linear && linear.getInput() == merge.getResult();
      }))
    return "something else than products reads its result";
  return llvm::all_of(readers,
                      [&](const Step *reader) {
                        return !isa<RopeOp>(reader->op) &&
                               rules.partialInputs(
                                   cast<LinearOp>(reader->root));
                      })
             ? ""
             : "no product has a kernel for it";
}

/// Of one row with one partial nothing is to be merged: a linear may read it.
void SegmentPlan::leaveMerges() {
  for (Step &step : steps) {
    auto merge = dyn_cast<MergeOp>(step.op);
    if (!merge)
      continue;
    SmallVector<Step *> readers;
    for (Step &reader : steps)
      if (auto linear = dyn_cast<LinearOp>(reader.root);
          linear && linear.getInput() == merge.getResult())
        readers.push_back(&reader);
    if (StringRef reason = whyKept(merge, readers, rules); !reason.empty()) {
      remark::missed(merge.getLoc(), segmentRemark(segment, "leave-merge"))
          << remark::reason("{0}", reason);
      continue;
    }
    remark::passed(merge.getLoc(), segmentRemark(segment, "leave-merge"))
        << remark::reason("products of one row read its only partial");
    step.leftToReaders = true;
    for (Step *reader : readers) {
      reader->inputMerge = merge;
      llvm::append_range(reader->reads, step.reads);
      // All of it is read for every element of the result.
      llvm::erase_if(reader->inPlace, [&](const Step::TakeOver &taken) {
        return llvm::is_contained(step.reads, taken.from);
      });
    }
  }
}

} // namespace rshard
