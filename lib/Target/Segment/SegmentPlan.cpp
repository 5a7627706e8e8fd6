//===- SegmentPlan.cpp - steps and storage of one segment -----------------===//

#include "rshard/Target/Segment/SegmentPlan.h"
#include "SegmentRemarks.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>

using namespace mlir;

namespace rshard {

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
    for (Operation *other : others)
      all.push_back(other->getResult(0));
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

bool areOfSameLayers(ParameterOp a, ParameterOp b) {
  auto weightOf = [](ParameterOp op) {
    return SymbolTable::lookupNearestSymbolFrom<WeightOp>(op,
                                                          op.getWeightAttr());
  };
  WeightOp one = weightOf(a), other = weightOf(b);
  return a.getLayer() == b.getLayer() && one && other &&
         one.getLayers() == other.getLayers();
}

/// Whether the weights of two linears of one input can be packed as one: they
/// are of the same layers.
static bool packTogether(LinearOp a, LinearOp b) {
  auto together = [](Value first, Value second) {
    if (!first || !second)
      return !first && !second;
    auto p = first.getDefiningOp<ParameterOp>(),
         q = second.getDefiningOp<ParameterOp>();
    return p && q && areOfSameLayers(p, q);
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
      step.inPlace.push_back({other, step.result});
    step.reads.push_back(other);
  };
  auto elementwise = [&](ValueRange operands) {
    for (Value operand : operands) {
      step.reads.push_back(operand);
      step.inPlace.push_back({operand, step.result});
    }
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
            getRowWidth(op.getResult()) % rules.gatedLinears == 0) {
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
      .Case<ConvertOp, HeadsOp>(
          [&](auto op) { step.reads.push_back(op.getInput()); })
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
    for (Operation *other : step.others)
      names.push_back(other->getName().getStringRef());
    if (names.size() < 2)
      continue;
    // In the order of the program: a group is found at its end.
    std::reverse(names.begin(), names.end());
    remark::passed(step.op->getLoc(), segmentRemark(segment, "fuse"))
        << remark::metric("Kernel", llvm::join(names, " + "));
  }
}

/// Arithmetic, but not of rows. (What takes a constant for a weight says so.)
static bool isArithmetic(Operation &op) {
  return isa<arith::ArithDialect>(op.getDialect()) &&
         llvm::none_of(op.getResultTypes(), [](Type type) {
           auto shaped = dyn_cast<ShapedType>(type);
           return shaped && !shaped.hasStaticShape();
         });
}

bool onlyLinearsRead(Value value) {
  return llvm::all_of(value.getUses(), [&](OpOperand &use) {
    auto linear = dyn_cast<LinearOp>(use.getOwner());
    return linear && linear.getInput() == value;
  });
}

LogicalResult SegmentPlan::collectSteps() {
  Block &body = segment.getBody().front();
  llvm::DenseSet<Operation *> fused;
  // Backwards, so that a group is found at its last op.
  for (Operation &op : llvm::reverse(body.without_terminator())) {
    if (isa<ParameterOp>(op) || isArithmetic(op) || fused.contains(&op))
      continue;
    if (op.getNumResults() != 1)
      return op.emitOpError("has no kernel");
    Step step = stepOf(op);
    if (!step.op)
      return op.emitOpError("has no kernel");
    for (Operation *other : step.others) {
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
  if (rules.joinRopes)
    joinRopes();
  if (rules.rotatedLinears)
    joinRotations();
  if (rules.whyNormStays)
    leaveNorms();
  if (rules.readsPartial)
    leaveMerges();
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

SmallVector<Step *> SegmentPlan::linearsOf(Value value) {
  SmallVector<Step *> found;
  for (Step &step : steps)
    if (auto linear = dyn_cast<LinearOp>(step.root);
        linear && linear.getInput() == value)
      found.push_back(&step);
  return found;
}

void SegmentPlan::leaveTo(ArrayRef<Step *> readers, Step &step) {
  step.leftToReaders = true;
  for (Step *reader : readers) {
    llvm::append_range(reader->reads, step.reads);
    // All of it is read for every element of the result.
    llvm::erase_if(reader->inPlace, [&](const Step::TakeOver &taken) {
      return llvm::is_contained(step.reads, taken.from);
    });
  }
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
    first->others.push_back(step.op);
    ++numFused;
  }
  steps = std::move(joined);
}

} // namespace rshard
