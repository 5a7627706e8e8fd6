//===- ProgramTrace.h - communication in the order of a program -*- C++ -*-===//

#ifndef RSHARD_LIB_ANALYSIS_PROGRAMTRACE_H
#define RSHARD_LIB_ANALYSIS_PROGRAMTRACE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "rshard/tokenset/Routes.h"
#include <functional>
#include <vector>

namespace rshard {

/// Follows a program over its loops and switches and visits what communicates:
/// rshard.send, rshard.receive, rshard.exchange, nccl.group and, where a group
/// is entered, nccl.send and nccl.recv; and what keeps rows for it,
/// rshard.append and rshard.gather. Loops over layers have bounds that are
/// known; those over tables, if the tables are.
class ProgramTrace {
public:
  /// A table of the rank's step by name, null if there is none.
  using Tables = std::function<const tokenset::IndexList *(llvm::StringRef)>;
  using Visitor = std::function<llvm::LogicalResult(mlir::Operation *)>;

  explicit ProgramTrace(mlir::func::FuncOp program, Tables tables = {})
      : program(program), tables(std::move(tables)) {}

  /// Visits in the order in which the program meets the ops, until a visit
  /// fails. Emits an error (C6) where control flow around one of them cannot be
  /// followed.
  llvm::LogicalResult follow(Visitor visitor);
  /// During a visit of a group: follows its body, visits included.
  llvm::LogicalResult enter(mlir::Block &block);
  /// During a visit: the index that a value has now, if it is known.
  std::optional<int64_t> valueOf(mlir::OpFoldResult value);

private:
  llvm::LogicalResult followLoop(mlir::scf::ForOp loop);
  llvm::LogicalResult followSwitch(mlir::scf::IndexSwitchOp op);
  bool holdsVisited(mlir::Operation &op);
  const tokenset::IndexList *tableOf(mlir::Value value) const;
  std::optional<int64_t> compute(mlir::Operation *op);

  mlir::func::FuncOp program;
  Tables tables;
  Visitor visitor;
  llvm::DenseMap<mlir::Value, int64_t> inductionVars;
  llvm::DenseMap<mlir::Operation *, bool> holders;
  size_t rounds = 0; ///< of loops
};

/// An op that communicates, as the program meets it.
struct Event {
  mlir::Operation *op = nullptr;
  int64_t layer = -1; ///< of a group: none
};

/// The sends, receives, exchanges and groups of a program; the layers of all
/// are known. Same errors.
mlir::FailureOr<std::vector<Event>> traceProgram(mlir::func::FuncOp program);

} // namespace rshard

#endif // RSHARD_LIB_ANALYSIS_PROGRAMTRACE_H
