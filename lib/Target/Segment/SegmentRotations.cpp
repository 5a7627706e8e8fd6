//===- SegmentRotations.cpp - which steps rotate queries and keys ---------===//

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

/// Makes `linear` compute `rotation` too, if that is of its first results,
/// which nothing else needs, and all results are whole heads without a bias.
bool SegmentPlan::joinRotation(Step &linear, const Step &rotation) {
  if (linear.op != linear.root || !isa<LinearOp>(linear.op) ||
      !isa<RopeOp>(rotation.op) || cast<LinearOp>(linear.op).getBias())
    return false;
  SmallVector<Value, 3> sums = linear.results(), rotated = rotation.results();
  int64_t head = cast<ShapedType>(rotation.result.getType()).getShape().back();
  auto rope = cast<RopeOp>(rotation.op);
  if (head % rules.rotatedLinears != 0 || rotated.size() > sums.size() ||
      !isa<BlockArgument>(rope.getPositions()) ||
      llvm::any_of(sums,
                   [&](Value sum) { return getRowWidth(sum) % head != 0; }))
    return false;
  for (auto [turned, sum] : llvm::zip_first(rotated, sums))
    if (turned.getDefiningOp<RopeOp>().getInput() != sum || !sum.hasOneUse())
      return false;
  for (auto [i, value] : llvm::enumerate(rotated)) {
    (i == 0 ? linear.op : linear.others[i - 1]) = value.getDefiningOp();
    ++numFused;
  }
  linear.result = rotation.result;
  linear.reads.push_back(rope.getPositions());
  return true;
}

/// A rotation becomes part of the step of the linears that it belongs to, at
/// their place: they read nothing that is made later.
void SegmentPlan::joinRotations() {
  for (size_t i = 0; i < steps.size(); ++i)
    if (llvm::any_of(MutableArrayRef(steps).take_front(i), [&](Step &linear) {
          return joinRotation(linear, steps[i]);
        })) {
      steps.erase(steps.begin() + static_cast<ptrdiff_t>(i));
      --i;
    }
}

} // namespace rshard
