//===- Scheduler.h - from programs of roles to one driver -------*- C++ -*-===//
//
// The programs of the three roles are walked in the order of the data: the
// client's until it sends, the CompNodes' until they send up, the AttnNodes'
// until they send down, and so on. That is the total order of exchanges
// (docs/phases.md, "Scheduled"); every rank runs the same driver, so no rank
// can wait for another in a circle (C6).
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TRANSFORMS_SCHEDULER_H
#define RSHARD_LIB_TRANSFORMS_SCHEDULER_H

#include "DriverBuilder.h"
#include "Frame.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "rshard/Plan/ProgramSet.h"
#include "rshard/Plan/RouteSet.h"
#include "rshard/tokenset/Exchange.h"

namespace rshard {

/// Where a tensor of a role's program lives on a rank.
struct Place {
  enum Kind {
    Prefix, ///< the first `count` rows of a buffer
    Whole   ///< a whole buffer or table
  };
  Kind kind = Whole;
  mlir::Value storage;
  mlir::Value count;

  bool operator==(const Place &) const = default;
  mlir::Value view(DriverBuilder &b) const {
    return kind == Whole ? storage : b.rowsOf(storage, b.constant(0), count);
  }
};

class Scheduler {
public:
  explicit Scheduler(mlir::ModuleOp module) : module(module) {}
  /// Replaces the programs by @step; emits an error where they are not what the
  /// partitioner writes.
  mlir::LogicalResult run();

  int64_t numExchanges = 0, numBuffers = 0, numTables = 0;

private:
  // The programs, op by op (SchedulePrograms.cpp).
  mlir::LogicalResult walk(mlir::Block &block, DriverBuilder &b);
  mlir::LogicalResult schedule(mlir::Operation &op, DriverBuilder &b);
  mlir::LogicalResult emitFor(mlir::scf::ForOp loop, DriverBuilder &b);
  mlir::LogicalResult emitSwitch(mlir::scf::IndexSwitchOp select,
                                 DriverBuilder &b);
  /// The rows that `yield` leaves behind lie where those of `carried` do.
  mlir::LogicalResult checkYields(mlir::Operation *yield,
                                  mlir::ValueRange carried);
  mlir::LogicalResult emitCall(mlir::func::CallOp call, DriverBuilder &b);
  void emitWanted(WantedOp wanted, DriverBuilder &b);
  Place placeResult(mlir::Value result);
  Place compRows(mlir::Value buffer);

  // Messages (ScheduleExchanges.cpp).
  mlir::LogicalResult emitSend(SendOp send, DriverBuilder &b);
  void emitReceive(ReceiveOp receive, DriverBuilder &b);
  /// `types` are those of the exchange's tensors.
  void emitExchange(DriverBuilder &b, size_t number, mlir::Value layer,
                    llvm::ArrayRef<mlir::ShapedType> types);
  mlir::Value poolOf(llvm::StringRef name, mlir::ShapedType type);

  // What attention needs on a rank (ScheduleAttention.cpp).
  mlir::LogicalResult emitCells(int64_t number, mlir::Value layer,
                                DriverBuilder &b);
  void emitClientAppend(AppendOp append, DriverBuilder &b);
  mlir::LogicalResult emitClientAttention(PartialAttentionOp partial,
                                          DriverBuilder &b);
  mlir::FailureOr<int64_t> classOf(PartialAttentionOp partial);

  RouteOp routeOf(mlir::FlatSymbolRefAttr name) {
    return module.lookupSymbol<RouteOp>(name);
  }
  static mlir::ShapedType typeOf(mlir::Value tensor) {
    return llvm::cast<mlir::ShapedType>(tensor.getType());
  }

  mlir::ModuleOp module;
  std::unique_ptr<Frame> frame;
  mlir::IRMapping scalars;
  llvm::DenseMap<mlir::Value, Place> places;
  std::optional<ProgramSet> programs;
  std::optional<RouteSet> routes;
  /// What cells compute, by class.
  llvm::SmallVector<PartialAttentionOp> partials;
  std::vector<tokenset::Exchange> exchanges;
  bool onClient = true;
  /// The lists of query rows and of merges are 0, 1, 2... on every rank.
  bool keepsOrder = false;
  /// The client's current rows: those it sends, then those that came back.
  Place clientRows;
  /// The rows that enter the sharded layers, and those that leave them: of one
  /// type, except in an attention-only program.
  mlir::ShapedType entering, leaving;
  int64_t numShardedLayers = 0, firstSharded = 0, numClientLayers = 0;
};

} // namespace rshard

#endif // RSHARD_LIB_TRANSFORMS_SCHEDULER_H
