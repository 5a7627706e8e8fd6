//===- DiagnosticPrinter.h - diagnostics, one line each ---------*- C++ -*-===//

#ifndef RSHARD_DRIVER_DIAGNOSTICPRINTER_H
#define RSHARD_DRIVER_DIAGNOSTICPRINTER_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/raw_ostream.h"

namespace rshard {

/// Prints an error that is no diagnostic: `<path>: error: <message>` if the
/// message says the path first, as the runtime's do, else `error: <message>`.
void printError(llvm::raw_ostream &os, llvm::StringRef message);

/// Prints the diagnostics of a context as `<location>: error: <message>`, notes
/// on lines of their own, for as long as it lives.
class DiagnosticPrinter : public mlir::ScopedDiagnosticHandler {
public:
  explicit DiagnosticPrinter(mlir::MLIRContext *context,
                             llvm::raw_ostream &os = llvm::errs());

private:
  void print(mlir::Diagnostic &diagnostic);
  llvm::raw_ostream &os;
};

} // namespace rshard

#endif // RSHARD_DRIVER_DIAGNOSTICPRINTER_H
