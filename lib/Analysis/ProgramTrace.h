//===- ProgramTrace.h - communication in the order of a program -*- C++ -*-===//

#ifndef RSHARD_LIB_ANALYSIS_PROGRAMTRACE_H
#define RSHARD_LIB_ANALYSIS_PROGRAMTRACE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <vector>

namespace rshard {

/// An op that communicates, as the program meets it.
struct Event {
  mlir::Operation *op = nullptr;
  int64_t layer = -1; ///< of a group: none
};

/// Follows a program over its loops and switches, whose bounds are numbers of
/// layers and so known, and lists what communicates: rshard.send,
/// rshard.receive, rshard.exchange and nccl.group. Emits an error (C6) where
/// control flow around one of them cannot be followed.
mlir::FailureOr<std::vector<Event>> traceProgram(mlir::func::FuncOp program);

} // namespace rshard

#endif // RSHARD_LIB_ANALYSIS_PROGRAMTRACE_H
