//===- DiagnosticPrinter.cpp - diagnostics, one line each -----------------===//

#include "rshard/Driver/DiagnosticPrinter.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/Support/FileSystem.h"

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

/// Splits `path: what is wrong`, as the runtime says it; the path is empty if
/// the message does not start with one.
static std::pair<StringRef, StringRef> splitPath(StringRef message) {
  auto [path, rest] = message.split(": ");
  bool isPath = !rest.empty() && (llvm::sys::fs::exists(path) ||
                                  (path.contains('/') && !path.contains(' ')));
  return isPath ? std::pair(path, rest) : std::pair(StringRef(), message);
}

void rshard::printError(llvm::raw_ostream &os, StringRef message) {
  auto [path, rest] = splitPath(message);
  if (!path.empty())
    os << path << ": ";
  os << "error: " << rest << "\n";
}

DiagnosticPrinter::DiagnosticPrinter(MLIRContext *context,
                                     llvm::raw_ostream &os)
    : ScopedDiagnosticHandler(context), os(os) {
  // The op as MLIR prints it says nothing to who runs a tool.
  context->printOpOnDiagnostic(false);
  setHandler([this](Diagnostic &diagnostic) { print(diagnostic); });
}

void DiagnosticPrinter::print(Diagnostic &diagnostic) {
  if (diagnostic.getSeverity() == DiagnosticSeverity::Error &&
      isa<UnknownLoc>(diagnostic.getLocation())) {
    printError(os, diagnostic.str());
    for (Diagnostic &note : diagnostic.getNotes())
      print(note);
    return;
  }
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
