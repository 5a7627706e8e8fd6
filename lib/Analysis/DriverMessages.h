//===- DriverMessages.h - the messages that a driver starts -----*- C++ -*-===//

#ifndef RSHARD_LIB_ANALYSIS_DRIVERMESSAGES_H
#define RSHARD_LIB_ANALYSIS_DRIVERMESSAGES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "rshard/tokenset/Exchange.h"
#include "rshard/tokenset/Routes.h"

namespace rshard {

/// Runs the driver's exchanges on the tables of one rank's current step; emits
/// an error unless every group starts what the exchange's table lists. See
/// verifyMessages.
mlir::LogicalResult
verifyDriverMessages(mlir::func::FuncOp driver,
                     const std::vector<tokenset::Exchange> &exchanges,
                     const tokenset::Routes &routes);

} // namespace rshard

#endif // RSHARD_LIB_ANALYSIS_DRIVERMESSAGES_H
