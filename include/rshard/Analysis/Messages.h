//===- Messages.h - the messages of programs between ranks ------*- C++ -*-===//

#ifndef RSHARD_ANALYSIS_MESSAGES_H
#define RSHARD_ANALYSIS_MESSAGES_H

#include "mlir/IR/BuiltinOps.h"

namespace rshard {

/// What verifyMessages has looked at.
struct RoutedMessages {
  int64_t steps = 0;
  /// Between ranks, in all steps, counted once each; layers of one class share
  /// theirs.
  int64_t messages = 0;
};

/// C2 and C6 of a module's programs, rank by rank, over the steps of a text of
/// `length` positions, or as many as the plan's sets own.
///
/// Both phases: the module's plan and the masks of its routes give every rank
/// its tables for each step; tokenset::verifyCoverage and verifyMatching hold
/// them to C2 and C6.
///
/// Scheduled phase: each group of the driver, run on the tables of a rank,
/// starts exactly the messages that the exchange's table lists, in its order:
/// to and from these ranks, from the staging buffers and into the pools, from
/// and to these rows. The staging buffers were filled from the pools by the
/// exchange's own lists of rows. So what holds for the tables holds for the
/// program.
///
/// The module must have passed verifyExchanges. Emits an error at the op at
/// fault, with a note at the other end.
mlir::FailureOr<RoutedMessages> verifyMessages(mlir::ModuleOp module,
                                               int64_t length);

} // namespace rshard

#endif // RSHARD_ANALYSIS_MESSAGES_H
