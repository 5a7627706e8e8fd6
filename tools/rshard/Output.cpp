//===- Output.cpp - where results go: all of them, or an error
//--------------===//

#include "Output.h"
#include "rshard/runtime/AtomicFile.h"
#include <fcntl.h>
#include <unistd.h>

using namespace rshard;
using namespace rshard::tool;

ExitStatus rshard::tool::writeOutput(const std::string &path,
                                     llvm::StringRef text) {
  if (path == "-") {
    llvm::outs() << text;
    return Success;
  }
  auto written = runtime::writeFileAtomically(
      path, std::string_view(text.data(), text.size()));
  return written ? Success : refuse(written.error().message);
}

void rshard::tool::reserveStandardOutput() {
  if (::fcntl(STDOUT_FILENO, F_GETFD) >= 0)
    return;
  // Open for reading: writes fail, as they should.
  int descriptor = ::open("/dev/null", O_RDONLY);
  if (descriptor >= 0 && descriptor != STDOUT_FILENO) {
    ::dup2(descriptor, STDOUT_FILENO);
    ::close(descriptor);
  }
}

bool rshard::tool::flushStandardOutput() {
  llvm::outs().flush();
  return !llvm::outs().has_error();
}

ExitStatus rshard::tool::finishStandardOutput(ExitStatus status) {
  if (flushStandardOutput())
    return status;
  std::string reason = llvm::outs().error().message();
  // LLVM would end the process for an error that nobody has seen.
  llvm::outs().clear_error();
  return refuse("cannot write to stdout: " + reason,
                status == Success ? BadInput : status);
}
