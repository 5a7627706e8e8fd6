//===- TextFile.cpp - writes text to where the user says ------------------===//

#include "rshard/Driver/TextFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

/// A stream that is destroyed with an error ends the process: takes it out.
static llvm::Error finish(llvm::raw_fd_ostream &os) {
  os.flush();
  std::error_code code = os.error();
  os.clear_error();
  return llvm::errorCodeToError(code);
}

llvm::Error rshard::writeTextFile(llvm::StringRef path, llvm::StringRef text) {
  if (path == "-") {
    llvm::outs() << text;
    return finish(llvm::outs());
  }
  namespace fs = llvm::sys::fs;
  fs::file_status status;
  bool exists = !fs::status(path, status, /*follow=*/false);
  if (!exists || fs::is_regular_file(status))
    return llvm::writeToOutput(path, [&](llvm::raw_ostream &os) {
      os << text;
      return llvm::Error::success();
    });
  std::error_code code;
  llvm::raw_fd_ostream os(path, code);
  if (code)
    return llvm::errorCodeToError(code);
  os << text;
  return finish(os);
}
