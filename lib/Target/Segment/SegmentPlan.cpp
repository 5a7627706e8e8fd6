//===- SegmentPlan.cpp - steps and storage of one segment -----------------===//

#include "rshard/Target/Segment/SegmentPlan.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace mlir;

namespace rshard {

static int64_t widthOf(Value value) {
  return getRowWidth(cast<ShapedType>(value.getType()));
}

/// The op before `part` in a fused group: the one that makes its operand that
/// is not the residual.
static Operation *previous(const Step &step, Operation *part) {
  Value input = part->getOperand(0);
  if (input == step.residual)
    input = part->getOperand(1);
  return input.getDefiningOp();
}

SmallVector<Value, 3> Step::results() const {
  SmallVector<Value, 3> all{result};
  if (!isa<GatedOp>(op))
    for (LinearOp other : others)
      all.push_back(other.getResult());
  return all;
}

FailureOr<SegmentPlan> SegmentPlan::create(func::FuncOp segment,
                                           FusionRules rules,
                                           MayAlias mayAlias) {
  if (!segment.getBody().hasOneBlock())
    return segment.emitOpError("has ")
           << segment.getBody().getBlocks().size()
           << " blocks vs 1: a segment is straight-line code";
  SegmentPlan plan(segment, rules);
  if (failed(plan.collectSteps()))
    return failure();
  plan.assignOutputs(mayAlias);
  plan.assignWorkspace();
  return plan;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// The linear whose result is `value`, directly or through an activation, if
/// nothing else needs what is in between.
static LinearOp fusableLinear(Value value, ActivationOp &activation) {
  activation = nullptr;
  if (!value.hasOneUse())
    return {};
  if (auto op = value.getDefiningOp<ActivationOp>();
      op && op.getInput().hasOneUse()) {
    activation = op;
    value = op.getInput();
  }
  return value.getDefiningOp<LinearOp>();
}

/// Whether the weights of two linears of one input can be packed as one: they
/// are of the same layers.
static bool packTogether(LinearOp a, LinearOp b) {
  auto together = [](Value first, Value second) {
    if (!first || !second)
      return !first && !second;
    auto p = first.getDefiningOp<ParameterOp>(),
         q = second.getDefiningOp<ParameterOp>();
    if (!p || !q || p.getLayer() != q.getLayer())
      return false;
    auto weightOf = [](ParameterOp op) {
      return SymbolTable::lookupNearestSymbolFrom<WeightOp>(op,
                                                            op.getWeightAttr());
    };
    WeightOp one = weightOf(p), other = weightOf(q);
    return one && other && one.getLayers() == other.getLayers();
  };
  return a.getInput() == b.getInput() &&
         getElementTypeOrSelf(a.getResult()) ==
             getElementTypeOrSelf(b.getResult()) &&
         together(a.getWeight(), b.getWeight()) &&
         together(a.getBias(), b.getBias());
}

Step SegmentPlan::stepOf(Operation &op) {
  Step step;
  step.op = step.root = &op;
  step.result = op.getResult(0);
  auto linear = [&](LinearOp root, ActivationOp activation) {
    step.root = root;
    step.reads.push_back(root.getInput());
    if (activation)
      step.activation = activation.getKind();
  };
  auto addend = [&](Value other) {
    step.residual = other;
    // A linear reads all of its input for every element that it writes.
    if (!llvm::is_contained(step.reads, other))
      step.inPlace.push_back(other);
    step.reads.push_back(other);
  };
  auto elementwise = [&](ValueRange operands) {
    llvm::append_range(step.reads, operands);
    llvm::append_range(step.inPlace, operands);
  };
  llvm::TypeSwitch<Operation *>(&op)
      .Case([&](LinearOp op) { linear(op, nullptr); })
      .Case([&](ActivationOp op) {
        // Its own result may have any number of uses.
        if (auto root = op.getInput().getDefiningOp<LinearOp>();
            root && op.getInput().hasOneUse())
          linear(root, op);
        else
          elementwise(op.getInput());
      })
      .Case([&](AddOp op) {
        ActivationOp activation;
        for (auto [value, other] :
             {std::pair(op.getRhs(), op.getLhs()), {op.getLhs(), op.getRhs()}})
          if (LinearOp root = fusableLinear(value, activation)) {
            linear(root, activation);
            addend(other);
            return;
          }
        for (auto [value, other] :
             {std::pair(op.getRhs(), op.getLhs()), {op.getLhs(), op.getRhs()}})
          if (auto root = value.getDefiningOp<EmbeddingOp>();
              root && value.hasOneUse()) {
            step.root = root;
            step.reads.push_back(root.getIds());
            addend(other);
            return;
          }
        elementwise({op.getLhs(), op.getRhs()});
      })
      .Case([&](AddRowOp op) {
        auto root = op.getInput().getDefiningOp<EmbeddingOp>();
        if (root && op.getInput().hasOneUse()) {
          step.root = root;
          step.reads.push_back(root.getIds());
          step.constant = op.getRow();
        } else {
          elementwise(op.getInput());
        }
      })
      .Case([&](NormOp op) { elementwise(op.getInput()); })
      .Case([&](GatedOp op) {
        auto gate = op.getGate().getDefiningOp<LinearOp>();
        auto up = op.getUp().getDefiningOp<LinearOp>();
        if (rules.gatedLinears && gate && up && gate != up &&
            gate->hasOneUse() && up->hasOneUse() && packTogether(gate, up) &&
            widthOf(op.getResult()) % rules.gatedLinears == 0) {
          linear(gate, nullptr);
          step.others.push_back(up);
          step.activation = op.getKind();
        } else {
          elementwise({op.getGate(), op.getUp()});
        }
      })
      .Case([&](RopeOp op) {
        elementwise(op.getInput());
        step.reads.push_back(op.getPositions());
      })
      .Case([&](EmbeddingOp op) { step.reads.push_back(op.getIds()); })
      .Case([&](ConvertOp op) { step.reads.push_back(op.getInput()); })
      .Case(
          [&](MergeOp op) { llvm::append_range(step.reads, op.getOperands()); })
      .Default([&](Operation *) { step.op = nullptr; });
  return step;
}

/// Says which ops became one kernel call, where remarks are asked for.
static void remarkFusion(func::FuncOp segment, ArrayRef<Step> steps) {
  for (const Step &step : steps) {
    SmallVector<StringRef> names;
    for (Operation *part = step.op; part; part = previous(step, part)) {
      names.push_back(part->getName().getStringRef());
      if (part == step.root)
        break;
    }
    for (LinearOp other : step.others)
      names.push_back(other->getName().getStringRef());
    if (names.size() < 2)
      continue;
    // In the order of the program: a group is found at its end.
    std::reverse(names.begin(), names.end());
    remark::passed(
        step.op->getLoc(),
        remark::RemarkOpts::name("fuse").category("segment").function(
            segment.getSymName()))
        << remark::metric("Kernel", llvm::join(names, " + "));
  }
}

LogicalResult SegmentPlan::collectSteps() {
  Block &body = segment.getBody().front();
  llvm::DenseSet<Operation *> fused;
  // Backwards, so that a group is found at its last op.
  for (Operation &op : llvm::reverse(body.without_terminator())) {
    if (isa<ParameterOp>(op) || isa<arith::ArithDialect>(op.getDialect()) ||
        fused.contains(&op))
      continue;
    if (op.getNumResults() != 1)
      return op.emitOpError("has no kernel");
    Step step = stepOf(op);
    if (!step.op)
      return op.emitOpError("has no kernel");
    for (LinearOp other : step.others) {
      fused.insert(other);
      ++numFused;
    }
    for (Operation *part = step.op; part != step.root;) {
      part = previous(step, part);
      fused.insert(part);
      ++numFused;
    }
    steps.push_back(std::move(step));
  }
  std::reverse(steps.begin(), steps.end());
  if (rules.joinLinears)
    joinLinears();
  remarkFusion(segment, steps);

  for (auto [i, step] : llvm::enumerate(steps)) {
    for (Value result : step.results())
      definition[result] = lastUse[result] = i;
    for (Value value : step.reads)
      lastUse[value] = i;
  }
  for (Value value : body.getTerminator()->getOperands())
    lastUse[value] = steps.size();
  return success();
}

/// Plain linears of one input become one step, at the place of the first: a
/// linear reads nothing else that a step makes.
void SegmentPlan::joinLinears() {
  auto plain = [](const Step &step) {
    return step.op == step.root && isa<LinearOp>(step.op);
  };
  SmallVector<Step> joined;
  for (Step &step : steps) {
    auto fits = [&](const Step &first) {
      return plain(first) && plain(step) &&
             packTogether(cast<LinearOp>(first.op), cast<LinearOp>(step.op));
    };
    auto first = llvm::find_if(joined, fits);
    if (first == joined.end()) {
      joined.push_back(std::move(step));
      continue;
    }
    first->others.push_back(cast<LinearOp>(step.op));
    ++numFused;
  }
  steps = std::move(joined);
}

//===----------------------------------------------------------------------===//
// Storage
//===----------------------------------------------------------------------===//

/// Whether `step` may be the first to write `output`: every input that may be
/// the same rows has been read, or is read by that step element by element.
bool SegmentPlan::mayWrite(unsigned output, size_t step, MayAlias mayAlias) {
  for (BlockArgument argument : segment.getArguments().drop_front()) {
    auto use = lastUse.find(argument);
    if (use == lastUse.end() || use->second < step ||
        !mayAlias(argument.getArgNumber() - 1, output))
      continue;
    if (use->second > step ||
        !llvm::is_contained(steps[step].inPlace, Value(argument)))
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
        mayWrite(output, step->second, mayAlias))
      storage[value] = {Storage::Output, output};
    else
      copies.push_back(output);
  }
  // A value that dies where an output is made in place of it lives there too.
  for (size_t i = steps.size(); i-- > 0;) {
    const Step &step = steps[i];
    auto place = storage.find(step.result);
    if (place == storage.end() || place->second.kind != Storage::Output)
      continue;
    Storage output = place->second;
    for (Value value : step.inPlace) {
      auto origin = definition.find(value);
      if (origin == definition.end() || storage.contains(value) ||
          lastUse.lookup(value) != i ||
          widthOf(value) != widthOf(step.result) ||
          !mayWrite(output.index, origin->second, mayAlias))
        continue;
      storage[value] = output;
      break;
    }
  }
}

/// A linear scan over the steps: first fit among the slots of live values.
void SegmentPlan::assignWorkspace() {
  // 16 columns are 64 bytes: slots keep the buffer's alignment.
  auto slotWidth = [](Value value) {
    return static_cast<int64_t>(llvm::alignTo(widthOf(value), 16));
  };
  SmallVector<Value> live;
  auto place = [&](size_t i, const Step &step, Value result) {
    // A slot may be taken over by the result that is made in place of it.
    auto successor = llvm::find_if(step.inPlace, [&](Value value) {
      return llvm::is_contained(live, value) && lastUse.lookup(value) == i &&
             widthOf(value) == widthOf(result);
    });
    llvm::erase_if(live, [&](Value value) {
      return lastUse.lookup(value) < i ||
             (successor != step.inPlace.end() && value == *successor);
    });
    if (successor != step.inPlace.end()) {
      // A copy: inserting may move what a reference into the map refers to.
      Storage slot = storage.lookup(*successor);
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
