//===- AttnProgram.h - what the AttnNodes' program computes -----*- C++ -*-===//

#ifndef RSHARD_LIB_TRANSFORMS_ATTNPROGRAM_H
#define RSHARD_LIB_TRANSFORMS_ATTNPROGRAM_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "rshard/Plan/RouteSet.h"

namespace rshard {

/// The partial attention of every class of routes, null for a class that the
/// program does not have. The driver runs all cells of a rank in one loop, so
/// it cannot follow the program op by op: a layer must be exactly
///
///   receive queries, receive keys, append, partial_attention, send
///
/// each on the results of those before it, in the operands' order. Emits an
/// error at the first op that is anything else.
mlir::FailureOr<llvm::SmallVector<PartialAttentionOp>>
readAttnProgram(mlir::func::FuncOp attn, const RouteSet &routes);

} // namespace rshard

#endif // RSHARD_LIB_TRANSFORMS_ATTNPROGRAM_H
