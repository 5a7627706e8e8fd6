//===- SegmentStorage.cpp - where the values of a segment live ------------===//

#include "rshard/Target/Segment/SegmentPlan.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace mlir;

namespace rshard {

/// Whether `step` may be the first to write `output`, with `value`: every input
/// that may be the same rows has been read, or is read by that step element by
/// element.
bool SegmentPlan::mayWrite(unsigned output, size_t step, Value value,
                           MayAlias mayAlias) {
  for (BlockArgument argument : segment.getArguments().drop_front()) {
    auto use = lastUse.find(argument);
    if (use == lastUse.end() || use->second < step ||
        !mayAlias(argument.getArgNumber() - 1, output))
      continue;
    if (use->second > step ||
        !llvm::is_contained(steps[step].inPlace,
                            Step::TakeOver{argument, value}))
      return false;
  }
  return true;
}

void SegmentPlan::assignOutputs(MayAlias mayAlias) {
  for (BlockArgument argument : segment.getArguments().drop_front())
    storage[argument] = {Storage::Input, argument.getArgNumber() - 1};
  for (auto [i, value] : llvm::enumerate(
           segment.getBody().front().getTerminator()->getOperands())) {
    unsigned output = static_cast<unsigned>(i);
    auto step = definition.find(value);
    if (step != definition.end() && !storage.contains(value) &&
        mayWrite(output, step->second, value, mayAlias))
      storage[value] = {Storage::Output, output};
    else
      copies.push_back(output);
  }
  // A value that dies where an output is made in place of it lives there too.
  for (size_t i = steps.size(); i-- > 0;) {
    for (Value result : steps[i].results()) {
      auto place = storage.find(result);
      if (place == storage.end() || place->second.kind != Storage::Output)
        continue;
      auto output = static_cast<unsigned>(place->second.index);
      for (auto [value, to] : steps[i].inPlace) {
        auto origin = definition.find(value);
        if (to != result || origin == definition.end() ||
            storage.contains(value) || lastUse.lookup(value) != i ||
            getRowWidth(value) != getRowWidth(result) ||
            !mayWrite(output, origin->second, value, mayAlias))
          continue;
        storage[value] = {Storage::Output, output};
        break;
      }
    }
  }
}

/// A linear scan over the steps: first fit among the slots of live values.
void SegmentPlan::assignWorkspace() {
  // 16 columns are 64 bytes: slots keep the buffer's alignment.
  auto slotWidth = [](Value value) {
    return static_cast<int64_t>(llvm::alignTo(getRowWidth(value), 16));
  };
  SmallVector<Value> live;
  auto place = [&](size_t i, const Step &step, Value result) {
    // A slot may be taken over by the result that is made in place of it.
    const auto *successor = llvm::find_if(step.inPlace, [&](auto taken) {
      return taken.to == result && llvm::is_contained(live, taken.from) &&
             lastUse.lookup(taken.from) == i &&
             getRowWidth(taken.from) == getRowWidth(result);
    });
    bool takesOver = successor != step.inPlace.end();
    llvm::erase_if(live, [&](Value value) {
      return lastUse.lookup(value) < i ||
             (takesOver && value == successor->from);
    });
    if (takesOver) {
      // A copy: inserting may move what a reference into the map refers to.
      Storage slot = storage.lookup(successor->from);
      storage[result] = slot;
    } else {
      llvm::sort(live, [&](Value a, Value b) {
        return storage[a].index < storage[b].index;
      });
      int64_t begin = 0;
      for (Value value : live) {
        if (storage[value].index - begin >= slotWidth(result))
          break;
        begin = storage[value].index + slotWidth(value);
      }
      storage[result] = {Storage::Workspace, begin};
      workspaceWidth = std::max(workspaceWidth, begin + slotWidth(result));
    }
    live.push_back(result);
  };
  for (auto [i, step] : llvm::enumerate(steps))
    for (Value result : step.results())
      if (!storage.contains(result))
        place(i, step, result);
}

} // namespace rshard
