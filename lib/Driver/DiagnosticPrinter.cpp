//===- DiagnosticPrinter.cpp - diagnostics, one line each -----------------===//

#include "rshard/Driver/DiagnosticPrinter.h"
#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;
using namespace rshard;

static StringRef getSeverityName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Note:
    return "note";
  case DiagnosticSeverity::Remark:
    return "remark";
  }
  llvm_unreachable("all severities are handled");
}

DiagnosticPrinter::DiagnosticPrinter(MLIRContext *context,
                                     llvm::raw_ostream &os)
    : ScopedDiagnosticHandler(context), os(os) {
  // The op as MLIR prints it says nothing to who runs a tool.
  context->printOpOnDiagnostic(false);
  setHandler([this](Diagnostic &diagnostic) { print(diagnostic); });
}

void DiagnosticPrinter::print(Diagnostic &diagnostic) {
  // A line or column of 0 stands for the file as a whole.
  if (auto file = diagnostic.getLocation()->findInstanceOf<FileLineColLoc>()) {
    os << file.getFilename().getValue();
    if (file.getLine()) {
      os << ":" << file.getLine();
      if (file.getColumn())
        os << ":" << file.getColumn();
    }
    os << ": ";
  }
  os << getSeverityName(diagnostic.getSeverity()) << ": " << diagnostic << "\n";
  for (Diagnostic &note : diagnostic.getNotes())
    print(note);
}
