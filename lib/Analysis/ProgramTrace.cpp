//===- ProgramTrace.cpp - communication in the order of a program ---------===//

#include "ProgramTrace.h"
#include "NCCL/NCCL.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rshard;

/// More communication than any model has: deeper programs are not followed.
static constexpr size_t mostEvents = size_t(1) << 20;

static bool isEvent(Operation &op) {
  return isa<SendOp, ReceiveOp, ExchangeOp, nccl::GroupOp>(op);
}

namespace {
class Tracer {
public:
  LogicalResult follow(Block &block);
  std::vector<Event> take() { return std::move(events); }

private:
  LogicalResult record(Operation &op);
  LogicalResult followLoop(scf::ForOp loop);
  LogicalResult followSwitch(scf::IndexSwitchOp op);
  bool holdsEvents(Operation &op);
  std::optional<int64_t> valueOf(Value value);

  DenseMap<Value, int64_t> inductionVars;
  DenseMap<Operation *, bool> holders;
  std::vector<Event> events;
};
} // namespace

bool Tracer::holdsEvents(Operation &op) {
  auto [entry, isNew] = holders.try_emplace(&op, false);
  if (!isNew)
    return entry->second;
  bool holds = op.walk([](Operation *inner) {
                   return isEvent(*inner) ? WalkResult::interrupt()
                                          : WalkResult::advance();
                 }).wasInterrupted();
  holders[&op] = holds;
  return holds;
}

/// The index that a value has at this point of the trace.
std::optional<int64_t> Tracer::valueOf(Value value) {
  if (auto known = inductionVars.find(value); known != inductionVars.end())
    return known->second;
  IntegerAttr constant;
  if (matchPattern(value, m_Constant(&constant)))
    return constant.getInt();
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (auto kind = dyn_cast<LayerKindOp>(op)) {
    std::optional<int64_t> layer = valueOf(kind.getLayer());
    ArrayRef<int32_t> kinds = kind.getKinds();
    if (!layer || *layer < 0 || *layer >= static_cast<int64_t>(kinds.size()))
      return std::nullopt;
    return kinds[static_cast<size_t>(*layer)];
  }
  if (!isa<arith::AddIOp, arith::SubIOp, arith::MulIOp>(op))
    return std::nullopt;
  std::optional<int64_t> lhs = valueOf(op->getOperand(0)),
                         rhs = valueOf(op->getOperand(1));
  if (!lhs || !rhs)
    return std::nullopt;
  int64_t result = 0;
  bool overflow =
      isa<arith::AddIOp>(op)   ? __builtin_add_overflow(*lhs, *rhs, &result)
      : isa<arith::SubIOp>(op) ? __builtin_sub_overflow(*lhs, *rhs, &result)
                               : __builtin_mul_overflow(*lhs, *rhs, &result);
  return overflow ? std::nullopt : std::optional(result);
}

LogicalResult Tracer::record(Operation &op) {
  if (events.size() == mostEvents)
    return op.emitOpError("C6: stands behind ")
           << mostEvents << " others: the program is not followed further";
  Event event{&op};
  if (!isa<nccl::GroupOp>(op)) {
    Value layer =
        TypeSwitch<Operation *, Value>(&op).Case<SendOp, ReceiveOp, ExchangeOp>(
            [](auto one) { return one.getLayer(); });
    std::optional<int64_t> number = valueOf(layer);
    if (!number)
      return op.emitOpError("C6: is for a layer whose number is not known");
    event.layer = *number;
  }
  events.push_back(event);
  return success();
}

LogicalResult Tracer::followLoop(scf::ForOp loop) {
  std::optional<int64_t> lower = valueOf(loop.getLowerBound()),
                         upper = valueOf(loop.getUpperBound()),
                         step = valueOf(loop.getStep());
  if (!lower || !upper || !step || *step < 1)
    return loop.emitOpError("C6: communicates, and its bounds are not known");
  for (int64_t layer = *lower; layer < *upper; layer += *step) {
    inductionVars[loop.getInductionVar()] = layer;
    if (failed(follow(*loop.getBody())))
      return failure();
  }
  return success();
}

LogicalResult Tracer::followSwitch(scf::IndexSwitchOp op) {
  std::optional<int64_t> which = valueOf(op.getArg());
  if (!which)
    return op.emitOpError("C6: communicates, and its case is not known");
  for (auto [value, region] :
       llvm::zip_equal(op.getCases(), op.getCaseRegions()))
    if (value == *which)
      return follow(region.front());
  return follow(op.getDefaultRegion().front());
}

LogicalResult Tracer::follow(Block &block) {
  for (Operation &op : block) {
    LogicalResult followed = success();
    if (isEvent(op))
      followed = record(op);
    else if (op.getNumRegions() == 0 || !holdsEvents(op))
      continue;
    else if (auto loop = dyn_cast<scf::ForOp>(op))
      followed = followLoop(loop);
    else if (auto choice = dyn_cast<scf::IndexSwitchOp>(op))
      followed = followSwitch(choice);
    else
      return op.emitOpError("C6: communicates, and cannot be followed");
    if (failed(followed))
      return failure();
  }
  return success();
}

FailureOr<std::vector<Event>> rshard::traceProgram(func::FuncOp program) {
  if (!program.getBody().hasOneBlock())
    return program.emitOpError("C6: has ")
           << program.getBody().getBlocks().size() << " blocks vs 1";
  Tracer tracer;
  if (failed(tracer.follow(program.getBody().front())))
    return failure();
  return tracer.take();
}
