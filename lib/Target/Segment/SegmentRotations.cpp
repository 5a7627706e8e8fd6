//===- SegmentRotations.cpp - which steps rotate queries and keys ---------===//

#include "SegmentRemarks.h"
#include "rshard/Target/Segment/SegmentPlan.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace rshard {

/// Rotations to the same positions become one step, at the place of the last,
/// unless a step in between reads the result of one before.
void SegmentPlan::joinRopes() {
  auto fits = [](const Step &first, const Step &second) {
    auto a = dyn_cast<RopeOp>(first.op), b = dyn_cast<RopeOp>(second.op);
    auto rowsOf = [](RopeOp op) {
      return cast<ShapedType>(op.getResult().getType());
    };
    return a && b && a.getPositions() == b.getPositions() &&
           a.getRotary() == b.getRotary() &&
           rowsOf(a).getElementType() == rowsOf(b).getElementType() &&
           rowsOf(a).getShape().back() == rowsOf(b).getShape().back();
  };
  auto readsNone = [](const Step &step, ValueRange values) {
    return llvm::none_of(step.reads, [&](Value read) {
      return llvm::is_contained(values, read);
    });
  };
  for (size_t i = 0; i < steps.size(); ++i) {
    size_t last = i + 1;
    while (last < steps.size() && readsNone(steps[last], steps[i].results()) &&
           !fits(steps[i], steps[last]))
      ++last;
    if (last == steps.size() || !fits(steps[i], steps[last]) ||
        !readsNone(steps[last], steps[i].results()))
      continue;
    // The later one takes over what the earlier one does, and comes first.
    Step joined = std::move(steps[i]);
    joined.others.push_back(steps[last].op);
    llvm::append_range(joined.others, steps[last].others);
    llvm::append_range(joined.reads, steps[last].reads);
    llvm::append_range(joined.inPlace, steps[last].inPlace);
    steps[last] = std::move(joined);
    steps.erase(steps.begin() + static_cast<ptrdiff_t>(i));
    ++numFused;
    --i;
  }
}

/// Why `linear`, which makes what `rotation` turns first, cannot compute it
/// too; empty if it can: what is rotated are its first results, which nothing
/// else needs, and all results are whole heads without a bias.
static StringRef whyApart(const Step &linear, const Step &rotation,
                          int64_t headMultiple) {
  if (linear.op != linear.root)
    return "the product's results are more than sums";
  if (cast<LinearOp>(linear.op).getBias())
    return "the product has a bias";
  SmallVector<Value, 3> sums = linear.results(), rotated = rotation.results();
  int64_t head = cast<ShapedType>(rotation.result.getType()).getShape().back();
  if (head % headMultiple != 0 || llvm::any_of(sums, [&](Value sum) {
        return getRowWidth(sum) % head != 0;
      }))
    return "no product has a kernel for heads of this size";
  if (rotated.size() > sums.size())
    return "rows of other products are rotated with them";
  for (auto [turned, sum] : llvm::zip_first(rotated, sums)) {
    if (turned.getDefiningOp<RopeOp>().getInput() != sum)
      return "they are not the product's first results";
    if (!sum.hasOneUse())
      return "something else reads the product's results";
  }
  return "";
}

/// Makes `linear` compute `rotation` too.
static void takeOver(Step &linear, const Step &rotation) {
  for (auto [i, value] : llvm::enumerate(rotation.results()))
    (i == 0 ? linear.op : linear.others[i - 1]) = value.getDefiningOp();
  linear.result = rotation.result;
  linear.reads.push_back(cast<RopeOp>(rotation.op).getPositions());
}

/// A rotation becomes part of the step of the linears that it belongs to, at
/// their place: they read nothing that is made later.
void SegmentPlan::joinRotations() {
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step &rotation = steps[i];
    auto rope = dyn_cast<RopeOp>(rotation.op);
    if (!rope || rope.getOperation() != rotation.root)
      continue;
    auto *linear = llvm::find_if(steps, [&](const Step &step) {
      return isa<LinearOp>(step.root) &&
             llvm::is_contained(step.results(), rope.getInput());
    });
    StringRef reason = linear == steps.end()
                           ? "no product makes the rows"
                           : whyApart(*linear, rotation, rules.rotatedLinears);
    if (!reason.empty()) {
      remark::missed(rope.getLoc(), segmentRemark(segment, "rotate"))
          << remark::reason("{0}", reason);
      continue;
    }
    takeOver(*linear, rotation);
    numFused += static_cast<int64_t>(rotation.results().size());
    steps.erase(steps.begin() + static_cast<ptrdiff_t>(i));
    --i;
  }
}

} // namespace rshard
