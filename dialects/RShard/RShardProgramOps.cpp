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

Role rshard::getSender(RouteKind kind) { return getRule(kind).from; }
Role rshard::getReceiver(RouteKind kind) { return getRule(kind).to; }

LogicalResult RouteOp::verify() {
  RouteRule rule = getRule(getKind());
  if (getMask().has_value() != rule.masked)
    return emitOpError("of kind ")
           << stringifyRouteKind(getKind())
           << (rule.masked ? " has no mask" : " has a mask");
  if (getLayerClass().has_value() != rule.masked)
    return emitOpError("of kind ")
           << stringifyRouteKind(getKind())
           << (rule.masked ? " has no class" : " has a class");
  if (auto number = getLayerClassAttr(); number && number.getInt() < 0)
    return emitOpError("class ") << number.getInt() << " vs 0 or more";
  if (getTypes().size() != rule.tensors)
    return emitOpError("of kind ")
           << stringifyRouteKind(getKind()) << " moves " << getTypes().size()
           << " tensors vs " << rule.tensors;
  SmallVector<RankedTensorType> types;
  for (Type type : getTypes().getAsValueRange<TypeAttr>()) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !isRowElement(tensor.getElementType()) ||
        !hasTokenRows(tensor))
      return emitOpError("moves ")
             << type
             << " vs an f32, bf16 or f16 tensor whose first dimension, and no "
                "other, is dynamic";
    types.push_back(tensor);
  }
  // What a CompNode and an AttnNode exchange has heads; see the ops that use
  // it.
  bool isAttention = rule.from == Role::Attn || rule.to == Role::Attn;
  if (isAttention && types[0].getRank() != 3)
    return emitOpError("moves ")
           << types[0] << " vs [tokens, heads, head size]";
  if (getKind() == RouteKind::Key && types[0] != types[1])
    return emitOpError("moves values ") << types[1] << " vs keys " << types[0];
  if (getKind() == RouteKind::Partial &&
      (types[1].getRank() != 2 ||
       types[1].getDimSize(1) != types[0].getDimSize(1)))
    return emitOpError("moves lse ")
           << types[1] << " vs the " << types[0].getDimSize(1)
           << " heads of the output " << types[0];
  if (getKind() == RouteKind::Partial && !types[1].getElementType().isF32())
    return emitOpError("moves lse ") << types[1] << " vs f32";
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
      return emitOpError("kind of layer ")
             << layer << ": " << kind << " vs at least 0";
  return success();
}

/// Checks that `op`, if it stands in the program of a role, stands in one of
/// `allowed`.
static LogicalResult verifyRole(Operation *op, ArrayRef<Role> allowed) {
  auto func = op->getParentOfType<func::FuncOp>();
  auto role = func ? func->getAttrOfType<RoleAttr>(roleAttrName) : RoleAttr();
  if (!role || llvm::is_contained(allowed, role.getValue()))
    return success();
  InFlightDiagnostic diag = op->emitOpError("in the program of role ")
                            << stringifyRole(role.getValue()) << " vs ";
  llvm::interleave(
      allowed, [&](Role one) { diag << stringifyRole(one); },
      [&] { diag << " or "; });
  return diag;
}

LogicalResult TokensOp::verify() { return verifyRole(*this, Role::Client); }
LogicalResult RowsOp::verify() { return verifyRole(*this, Role::Client); }
LogicalResult WantedOp::verify() { return verifyRole(*this, Role::Client); }
LogicalResult PositionsOp::verify() {
  return verifyRole(*this, {Role::Client, Role::Comp});
}

LogicalResult AppendOp::verify() {
  return verifyRole(*this, {Role::Client, Role::Attn});
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
    return emitOpError("communicator of type ")
           << getComm().getType() << " vs !nccl.comm";
  if (!isa<nccl::StreamType>(getStream().getType()))
    return emitOpError("stream of type ")
           << getStream().getType() << " vs !nccl.stream";
  return success();
}

/// Checks that rows of `source` can be copied to `target`.
static LogicalResult verifyCopy(Operation *op, MemRefType source,
                                MemRefType target) {
  if (source.getElementType() != target.getElementType() ||
      getRowWidth(source) != getRowWidth(target))
    return op->emitOpError("target ") << target << " vs rows of " << source;
  return success();
}

LogicalResult GatherOp::verify() {
  return verifyCopy(*this, getSource().getType(), getTarget().getType());
}

LogicalResult AppendRowsOp::verify() {
  return verifyCopy(*this, getRows().getType(), getTarget().getType());
}

LogicalResult AttendOp::verify() {
  int64_t query = getRowWidth(getQuery().getType());
  int64_t key = getRowWidth(getKey().getType());
  int64_t heads = getHeadsAttr().getInt();
  if (heads < 1 || query % heads)
    return emitOpError("query width: ")
           << query << " vs a multiple of " << heads << " heads";
  int64_t headSize = query / heads;
  if (key % headSize || heads % (key / headSize))
    return emitOpError("key width: ") << key << " vs heads of size " << headSize
                                      << " whose number divides " << heads;
  if (getValue().getType().getDimSize(1) != key)
    return emitOpError("value width: ") << getValue().getType().getDimSize(1)
                                        << " vs " << key << " of the keys";
  if (getOutput().getType().getDimSize(1) != query)
    return emitOpError("output width: ") << getOutput().getType().getDimSize(1)
                                         << " vs " << query << " of the query";
  if (getLse().getType().getDimSize(1) != heads)
    return emitOpError("heads of lse: ")
           << getLse().getType().getDimSize(1) << " vs " << heads;
  Type element = getQuery().getType().getElementType();
  for (auto [name, rows] :
       {std::pair("keys", getKey()), {"values", getValue()}})
    if (rows.getType().getElementType() != element)
      return emitOpError("element of the ")
             << name << ": " << rows.getType().getElementType() << " vs "
             << element;
  Type partial = getOutput().getType().getElementType();
  if (!partial.isF32() && partial != element)
    return emitOpError("element of the output: ")
           << partial << " vs f32 or " << element;
  return verifyScores(*this, getScale(), getSoftCap());
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
