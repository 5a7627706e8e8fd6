//===- ProgramTrace.cpp - communication in the order of a program ---------===//

#include "ProgramTrace.h"
#include "NCCL/NCCL.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rshard;

/// More rounds of loops than any step has: longer programs are not followed.
static constexpr size_t mostRounds = size_t(1) << 20;

static bool isVisited(Operation *op) {
  return isa<SendOp, ReceiveOp, AppendOp, ExchangeOp, GatherOp, nccl::GroupOp,
             nccl::SendOp, nccl::RecvOp>(op);
}

bool ProgramTrace::holdsVisited(Operation &op) {
  auto [entry, isNew] = holders.try_emplace(&op, false);
  if (isNew)
    entry->second = op.walk([](Operation *inner) {
                        return isVisited(inner) ? WalkResult::interrupt()
                                                : WalkResult::advance();
                      }).wasInterrupted();
  return entry->second;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

const tokenset::IndexList *ProgramTrace::tableOf(Value value) const {
  auto table = value.getDefiningOp<GetTableOp>();
  return table && tables ? tables(table.getTable()) : nullptr;
}

std::optional<int64_t> ProgramTrace::compute(Operation *op) {
  if (auto kind = dyn_cast<LayerKindOp>(op)) {
    std::optional<int64_t> layer = valueOf(kind.getLayer());
    ArrayRef<int32_t> kinds = kind.getKinds();
    if (!layer || *layer < 0 || *layer >= static_cast<int64_t>(kinds.size()))
      return std::nullopt;
    return kinds[static_cast<size_t>(*layer)];
  }
  if (auto load = dyn_cast<memref::LoadOp>(op)) {
    const tokenset::IndexList *table = tableOf(load.getMemRef());
    std::optional<int64_t> at;
    if (table && load.getIndices().size() == 1)
      at = valueOf(load.getIndices().front());
    if (!at || *at < 0 || *at >= static_cast<int64_t>(table->size()))
      return std::nullopt;
    return (*table)[static_cast<size_t>(*at)];
  }
  if (auto size = dyn_cast<memref::DimOp>(op)) {
    const tokenset::IndexList *table = tableOf(size.getSource());
    return table ? std::optional<int64_t>(table->size()) : std::nullopt;
  }
  if (auto cast = dyn_cast<arith::IndexCastOp>(op))
    return valueOf(cast.getIn());
  if (!isa<arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::DivUIOp>(op))
    return std::nullopt;
  std::optional<int64_t> lhs = valueOf(op->getOperand(0)),
                         rhs = valueOf(op->getOperand(1));
  if (!lhs || !rhs)
    return std::nullopt;
  if (isa<arith::DivUIOp>(op))
    return *lhs >= 0 && *rhs > 0 ? std::optional(*lhs / *rhs) : std::nullopt;
  int64_t result = 0;
  bool overflow =
      isa<arith::AddIOp>(op)   ? __builtin_add_overflow(*lhs, *rhs, &result)
      : isa<arith::SubIOp>(op) ? __builtin_sub_overflow(*lhs, *rhs, &result)
                               : __builtin_mul_overflow(*lhs, *rhs, &result);
  return overflow ? std::nullopt : std::optional(result);
}

std::optional<int64_t> ProgramTrace::valueOf(OpFoldResult folded) {
  if (std::optional<int64_t> constant = getConstantIntValue(folded))
    return constant;
  auto value = dyn_cast<Value>(folded);
  if (auto known = inductionVars.find(value); known != inductionVars.end())
    return known->second;
  Operation *op = value ? value.getDefiningOp() : nullptr;
  return op ? compute(op) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

LogicalResult ProgramTrace::followLoop(scf::ForOp loop) {
  std::optional<int64_t> lower = valueOf(loop.getLowerBound()),
                         upper = valueOf(loop.getUpperBound()),
                         step = valueOf(loop.getStep());
  if (!lower || !upper || !step || *step < 1)
    return loop.emitOpError("C6: communicates, and its bounds are not known");
  // Unsigned: the distance of two numbers may be more than either.
  uint64_t count = *lower < *upper ? (static_cast<uint64_t>(*upper) -
                                      static_cast<uint64_t>(*lower) - 1) /
                                             static_cast<uint64_t>(*step) +
                                         1
                                   : 0;
  for (uint64_t i = 0; i != count; ++i) {
    if (rounds++ == mostRounds)
      return loop.emitOpError("C6: communicates, and is not followed beyond ")
             << mostRounds << " rounds";
    inductionVars[loop.getInductionVar()] =
        *lower + static_cast<int64_t>(i) * *step;
    if (failed(enter(*loop.getBody())))
      return failure();
  }
  return success();
}

LogicalResult ProgramTrace::followSwitch(scf::IndexSwitchOp op) {
  std::optional<int64_t> which = valueOf(op.getArg());
  if (!which)
    return op.emitOpError("C6: communicates, and its case is not known");
  for (auto [value, region] :
       llvm::zip_equal(op.getCases(), op.getCaseRegions()))
    if (value == *which)
      return enter(region.front());
  return enter(op.getDefaultRegion().front());
}

LogicalResult ProgramTrace::enter(Block &block) {
  for (Operation &op : block) {
    LogicalResult followed = success();
    if (isVisited(&op))
      followed = visitor(&op);
    else if (op.getNumRegions() == 0 || !holdsVisited(op))
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

LogicalResult ProgramTrace::follow(Visitor visit) {
  if (!program.getBody().hasOneBlock())
    return program.emitOpError("C6: has ")
           << program.getBody().getBlocks().size() << " blocks vs 1";
  visitor = std::move(visit);
  rounds = 0;
  return enter(program.getBody().front());
}

FailureOr<std::vector<Event>> rshard::traceProgram(func::FuncOp program) {
  std::vector<Event> events;
  ProgramTrace trace(program);
  LogicalResult followed = trace.follow([&](Operation *op) -> LogicalResult {
    if (isa<AppendOp, GatherOp>(op))
      return success();
    Event event{op};
    if (!isa<nccl::GroupOp>(op)) {
      Value layer = TypeSwitch<Operation *, Value>(op)
                        .Case<SendOp, ReceiveOp, ExchangeOp>(
                            [](auto one) { return one.getLayer(); });
      std::optional<int64_t> number = trace.valueOf(layer);
      if (!number)
        return op->emitOpError("C6: is for a layer whose number is not known");
      event.layer = *number;
    }
    events.push_back(event);
    return success();
  });
  if (failed(followed))
    return failure();
  return events;
}
