//===- Report.cpp - errors and notes of one import ------------------------===//

#include "Report.h"

using namespace mlir;
using namespace rshard;

Location Report::locate(StringRef file, unsigned line, unsigned column) const {
  return FileLineColLoc::get(context, file, line, column);
}

void Report::fail(Location location, const Twine &message, const Twine &note) {
  if (failed)
    return;
  failed = true;
  InFlightDiagnostic diag = emitError(location) << message;
  if (!note.isTriviallyEmpty() && !note.str().empty())
    diag.attachNote() << note;
}
