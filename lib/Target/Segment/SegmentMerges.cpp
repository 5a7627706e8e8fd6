//===- SegmentMerges.cpp - which merges products do without ---------------===//

#include "SegmentRemarks.h"
#include "rshard/Target/Segment/SegmentPlan.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace rshard {

/// Why the steps `readers` of the result of `merge` cannot read a single
/// partial in its place; empty if they can.
static StringRef whyKept(MergeOp merge, ArrayRef<Step *> readers,
                         const FusionRules &rules) {
  if (!onlyLinearsRead(merge))
    return "something else than products reads its result";
  return llvm::all_of(
             readers,
             [&](const Step *reader) { return rules.readsPartial(*reader); })
             ? ""
             : "no product has a kernel for it";
}

/// Of one row with one partial nothing is to be merged: a linear may read it.
void SegmentPlan::leaveMerges() {
  for (Step &step : steps) {
    auto merge = dyn_cast<MergeOp>(step.op);
    if (!merge)
      continue;
    SmallVector<Step *> readers = linearsOf(merge);
    if (StringRef reason = whyKept(merge, readers, rules); !reason.empty()) {
      remark::missed(merge.getLoc(), segmentRemark(segment, "leave-merge"))
          << remark::reason("{0}", reason);
      continue;
    }
    remark::passed(merge.getLoc(), segmentRemark(segment, "leave-merge"))
        << remark::reason("products of one row read its only partial");
    leaveTo(readers, step);
    for (Step *reader : readers)
      reader->inputMerge = merge;
  }
}

} // namespace rshard
