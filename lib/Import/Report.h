//===- Report.h - errors and notes of one import ----------------*- C++ -*-===//

#ifndef RSHARD_LIB_IMPORT_REPORT_H
#define RSHARD_LIB_IMPORT_REPORT_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include <string>
#include <vector>

namespace rshard {

/// Collects what an import has to say. Only the first error becomes a
/// diagnostic: readers go on with harmless values after an error, so that
/// tables of keys and weights need no test after every line.
class Report {
public:
  explicit Report(mlir::MLIRContext *context) : context(context) {}

  mlir::MLIRContext *getContext() const { return context; }
  bool hasFailed() const { return failed; }
  mlir::LogicalResult result() const { return mlir::failure(failed); }

  /// A place in a file; line and column 0: the file as a whole.
  mlir::Location locate(llvm::StringRef file, unsigned line = 0,
                        unsigned column = 0) const;

  /// `note`, if not empty, says which option mends or explains the error.
  void fail(mlir::Location location, const llvm::Twine &message,
            const llvm::Twine &note = "");
  void note(const llvm::Twine &message) { notes.push_back(message.str()); }

  std::vector<std::string> takeNotes() { return std::move(notes); }

private:
  mlir::MLIRContext *context;
  bool failed = false;
  std::vector<std::string> notes;
};

} // namespace rshard

#endif // RSHARD_LIB_IMPORT_REPORT_H
