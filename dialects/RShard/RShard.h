//===- RShard.h - the rshard dialect ----------------------------*- C++ -*-===//

#ifndef RSHARD_RSHARD_H
#define RSHARD_RSHARD_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace rshard {
/// How an op treats the token dimension; see TokenOpInterface.
enum class TokenKind { None, Wise, Mix };

/// Whether the first dimension is dynamic, so that it can count tokens, and all
/// others are static and not empty.
bool hasTokenRows(mlir::ShapedType type);

/// Whether rows of tokens may have this element type: f32, bf16 or f16.
bool isRowElement(mlir::Type type);
} // namespace rshard

#include "RShard/RShardDialect.h.inc"
#include "RShard/RShardEnums.h.inc"
#include "RShard/RShardInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "RShard/RShardAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "RShard/RShardTypes.h.inc"
#define GET_OP_CLASSES
#include "RShard/RShardOps.h.inc"

namespace rshard {

/// Names of discardable attributes.
constexpr llvm::StringLiteral modelAttrName = "rshard.model";
constexpr llvm::StringLiteral roleAttrName = "rshard.role";
/// On a module from the partitioned phase on: per layer, the class of routes
/// that it uses (@query0, @query1, ...).
/// The function that every rank runs in the scheduled phase.
constexpr llvm::StringLiteral driverName = "step";
constexpr llvm::StringLiteral layerClassesAttrName = "rshard.layer_classes";
/// Which weights the frame's slots hold and how they are packed: a list of
/// {weights, pack, first, count}.
constexpr llvm::StringLiteral weightSlotsAttrName = "rshard.weight_slots";

/// On a kernel: how it is launched.
constexpr llvm::StringLiteral kernelAttrName = "rshard.kernel";

/// The number of elements of one row: the product of all dimensions but the
/// first. The type must be a ranked shape whose dimensions but the first are
/// static.
int64_t getRowWidth(mlir::ShapedType type);

/// The role at either end of a route.
Role getSender(RouteKind kind);
Role getReceiver(RouteKind kind);

/// Fails with an error on `op` unless `value` is an `isPositiveFloat`.
llvm::LogicalResult verifyPositive(mlir::Operation *op, llvm::StringRef name,
                                   double value);

/// Verifies the `scale` and, if there is one, the `soft_cap` of an attention.
llvm::LogicalResult verifyScores(mlir::Operation *op,
                                 const llvm::APFloat &scale,
                                 const std::optional<llvm::APFloat> &softCap);

} // namespace rshard

#endif // RSHARD_RSHARD_H
