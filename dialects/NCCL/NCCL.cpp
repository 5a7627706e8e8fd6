//===- NCCL.cpp - the nccl dialect ----------------------------------------===//

#include "NCCL/NCCL.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nccl;

#include "NCCL/NCCLDialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "NCCL/NCCLTypes.cpp.inc"
#define GET_OP_CLASSES
#include "NCCL/NCCLOps.cpp.inc"

void NCCLDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "NCCL/NCCLTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "NCCL/NCCLOps.cpp.inc"
      >();
}

LogicalResult GroupOp::verify() {
  if (auto outer = (*this)->getParentOfType<GroupOp>()) {
    InFlightDiagnostic diag = emitOpError("stands inside another group");
    diag.attachNote(outer.getLoc()) << "outer group";
    return diag;
  }
  return success();
}

/// What a message asks of its buffer and its place.
static LogicalResult verifyMessage(Operation *op, MemRefType type) {
  if (!op->getParentOfType<GroupOp>())
    return op->emitOpError("stands outside of an nccl.group");
  int64_t offset;
  SmallVector<int64_t> strides;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return op->emitOpError("buffer ") << type << " vs one with strides";
  if (llvm::any_of(type.getShape().drop_front(type.getRank() ? 1 : 0),
                   ShapedType::isDynamic))
    return op->emitOpError("buffer ")
           << type << " vs one whose first dimension alone is dynamic";
  int64_t expected = 1;
  for (auto [size, stride] :
       llvm::reverse(llvm::zip_equal(type.getShape(), strides))) {
    if (stride != expected) {
      InFlightDiagnostic diag = op->emitOpError("buffer ")
                                << type << " vs a contiguous one: stride ";
      if (ShapedType::isDynamic(stride))
        return diag << "? vs " << expected;
      return diag << stride << " vs " << expected;
    }
    if (!ShapedType::isDynamic(size)) // the first one, which comes last
      expected *= size;
  }
  return success();
}

LogicalResult SendOp::verify() {
  return verifyMessage(*this, getBuffer().getType());
}
LogicalResult RecvOp::verify() {
  return verifyMessage(*this, getBuffer().getType());
}
