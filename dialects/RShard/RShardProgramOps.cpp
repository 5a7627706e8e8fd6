//===- RShardProgramOps.cpp - verifiers of the programs' ops --------------===//

#include "NCCL/NCCL.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace rshard;

//===----------------------------------------------------------------------===//
// Routes
//===----------------------------------------------------------------------===//

namespace {
/// The table in the description of `rshard.route`.
struct RouteRule {
  Role from, to;
  unsigned tensors, indexTensors;
  bool masked;
};
} // namespace

static RouteRule getRule(RouteKind kind) {
  switch (kind) {
  case RouteKind::Enter:
    return {Role::Client, Role::Comp, 1, 0, false};
  case RouteKind::Query:
    return {Role::Comp, Role::Attn, 1, 1, true};
  case RouteKind::Key:
    return {Role::Comp, Role::Attn, 2, 1, true};
  case RouteKind::Partial:
    return {Role::Attn, Role::Comp, 2, 2, true};
  case RouteKind::Leave:
    return {Role::Comp, Role::Client, 1, 0, false};
  }
  llvm_unreachable("every route has a rule");
}

LogicalResult RouteOp::verify() {
  RouteRule rule = getRule(getKind());
  if (getMask().has_value() != rule.masked)
    return emitOpError("of kind ")
           << stringifyRouteKind(getKind())
           << (rule.masked ? " has no mask" : " has a mask");
  if (getTypes().size() != rule.tensors)
    return emitOpError("of kind ")
           << stringifyRouteKind(getKind()) << " moves " << getTypes().size()
           << " tensors vs " << rule.tensors;
  return success();
}

/// Looks the route of a send or receive up and checks the role of the function
/// and the types.
static LogicalResult verifyEnd(Operation *op, SymbolTableCollection &symbols,
                               FlatSymbolRefAttr name, bool isSend,
                               TypeRange types) {
  auto route = symbols.lookupNearestSymbolFrom<RouteOp>(op, name);
  if (!route)
    return op->emitOpError("refers to ")
           << name << ": no rshard.route of this name";
  auto fail = [&](auto &&...message) {
    InFlightDiagnostic diag = op->emitOpError();
    (diag << ... << message);
    diag.attachNote(route.getLoc()) << "route declared here";
    return diag;
  };
  RouteRule rule = getRule(route.getKind());
  Role required = isSend ? rule.from : rule.to;
  auto func = op->getParentOfType<func::FuncOp>();
  auto role = func ? func->getAttrOfType<RoleAttr>(roleAttrName) : RoleAttr();
  if (!role || role.getValue() != required)
    return fail("in the program of role ",
                role ? stringifyRole(role.getValue()) : StringRef("none"),
                " vs ", stringifyRole(required));
  SmallVector<Type> expected(route.getTypes().getAsValueRange<TypeAttr>());
  if (!isSend)
    expected.append(
        rule.indexTensors,
        RankedTensorType::get({ShapedType::kDynamic},
                              IntegerType::get(op->getContext(), 32)));
  if (TypeRange(expected) != types)
    return fail("types (", types, ") vs (", TypeRange(expected), ")");
  return success();
}

LogicalResult SendOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyEnd(*this, symbols, getRouteAttr(), /*isSend=*/true,
                   getRows().getTypes());
}

LogicalResult ReceiveOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyEnd(*this, symbols, getRouteAttr(), /*isSend=*/false,
                   getResults().getTypes());
}

LogicalResult LayerKindOp::verify() {
  if (getKinds().empty())
    return emitOpError("kinds: 0 vs at least 1");
  for (auto [layer, kind] : llvm::enumerate(getKinds()))
    if (kind < 0)
      return emitOpError("kind of layer ") << layer << ": " << kind << " vs at least 0";
  return success();
}

LogicalResult TokensOp::verify() {
  auto func = (*this)->getParentOfType<func::FuncOp>();
  auto role = func ? func->getAttrOfType<RoleAttr>(roleAttrName) : RoleAttr();
  if (role && role.getValue() != Role::Client)
    return emitOpError("in the program of role ")
           << stringifyRole(role.getValue()) << " vs client";
  return success();
}

//===----------------------------------------------------------------------===//
// Scheduled phase
//===----------------------------------------------------------------------===//

LogicalResult GetBufferOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto buffer =
      symbols.lookupNearestSymbolFrom<BufferOp>(*this, getBufferAttr());
  if (!buffer)
    return emitOpError("refers to ")
           << getBufferAttr() << ": no rshard.buffer of this name";
  if (buffer.getType() != getResult().getType()) {
    InFlightDiagnostic diag = emitOpError("type ")
                              << getResult().getType() << " vs "
                              << buffer.getType();
    diag.attachNote(buffer.getLoc()) << "declared here";
    return diag;
  }
  return success();
}

LogicalResult GetTableOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (!symbols.lookupNearestSymbolFrom<TableOp>(*this, getTableAttr()))
    return emitOpError("refers to ")
           << getTableAttr() << ": no rshard.table of this name";
  return success();
}

LogicalResult GetCommOp::verify() {
  if (!isa<nccl::CommType>(getComm().getType()))
    return emitOpError("communicator of type ") << getComm().getType() << " vs !nccl.comm";
  if (!isa<nccl::StreamType>(getStream().getType()))
    return emitOpError("stream of type ") << getStream().getType() << " vs !nccl.stream";
  return success();
}

LogicalResult AttendOp::verify() {
  int64_t query = getRowWidth(cast<ShapedType>(getQuery().getType()));
  int64_t key = getRowWidth(cast<ShapedType>(getKey().getType()));
  int64_t heads = getHeads();
  if (heads < 1 || query % heads)
    return emitOpError("query width ")
           << query << " vs a multiple of " << heads << " heads";
  int64_t headSize = query / heads;
  if (key % headSize || heads % (key / headSize))
    return emitOpError("key width ")
           << key << " vs a divisor of the query's heads times head size "
           << headSize;
  if (getRowWidth(cast<ShapedType>(getLse().getType())) != heads)
    return emitOpError("heads of lse: ")
           << getRowWidth(cast<ShapedType>(getLse().getType())) << " vs "
           << heads;
  if (!(getScale().convertToDouble() > 0))
    return emitOpError("scale ")
           << getScale().convertToDouble() << " vs more than 0";
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto segment =
      symbols.lookupNearestSymbolFrom<func::FuncOp>(*this, getSegmentAttr());
  if (!segment)
    return emitOpError("refers to ")
           << getSegmentAttr() << ": no function of this name";
  auto fail = [&](auto &&...message) {
    InFlightDiagnostic diag = emitOpError();
    (diag << ... << message);
    diag.attachNote(segment.getLoc()) << "segment defined here";
    return diag;
  };
  // Lowered segments take buffers already; their calls are checked by the
  // function dialect's rules.
  auto check = [&](StringRef what, TypeRange tensors,
                   OperandRange buffers) -> LogicalResult {
    if (tensors.size() != buffers.size())
      return fail(what, "s: ", buffers.size(), " vs ", tensors.size());
    for (auto [index, tensor, buffer] : llvm::enumerate(tensors, buffers)) {
      auto from = dyn_cast<RankedTensorType>(tensor);
      auto to = cast<MemRefType>(buffer.getType());
      int64_t rowDims = from && from.getRank() > 1 ? getRowWidth(from) : 1;
      int64_t width = to.getRank() > 1 ? getRowWidth(to) : 1;
      if (!from || from.getElementType() != to.getElementType() ||
          rowDims != width)
        return fail(what, " ", index, ": ", to, " vs ", tensor);
    }
    return success();
  };
  FunctionType type = segment.getFunctionType();
  if (type.getNumInputs() < 1 || !type.getInput(0).isIndex())
    return fail("segment has no layer as its first argument");
  if (failed(check("input", TypeRange(type.getInputs()).drop_front(),
                   getInputs())))
    return failure();
  return check("output", type.getResults(), getOutputs());
}
