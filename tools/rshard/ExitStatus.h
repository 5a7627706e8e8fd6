//===- ExitStatus.h - what the shell is told --------------------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_EXITSTATUS_H
#define RSHARD_TOOLS_RSHARD_EXITSTATUS_H

#include "rshard/Driver/DiagnosticPrinter.h"
#include <string>

namespace rshard::tool {

enum ExitStatus {
  Success = 0,
  BadInput = 1, ///< a model, plan, file or value that cannot be used
  BadUsage = 2, ///< options that do not exist or do not fit together
  Internal = 3,
};

/// Says what is wrong on stderr; returns the status, to be returned in turn.
inline ExitStatus refuse(const std::string &message,
                         ExitStatus status = BadInput) {
  printError(llvm::errs(), message);
  return status;
}

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_EXITSTATUS_H
