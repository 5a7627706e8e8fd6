//===- Output.cpp - where results go: all of them, or an error ------------===//

#include "Output.h"
#include "rshard/runtime/AtomicFile.h"
#include <fcntl.h>
#include <unistd.h>

using namespace rshard;
using namespace rshard::tool;
namespace fs = std::filesystem;

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

/// Files of a model's directory that are read: others there may be outputs.
static bool isModelFile(const fs::path &file) {
  for (const char *name : {"config.json", "generation_config.json",
                           "tokenizer.json", "model.safetensors.index.json"})
    if (file.filename() == name)
      return true;
  return file.extension() == ".safetensors";
}

/// Links and other spellings included.
static bool isInput(const fs::path &output, const fs::path &input) {
  std::error_code code;
  if (!fs::is_directory(input, code))
    return fs::is_regular_file(input, code) &&
           fs::equivalent(output, input, code);
  for (fs::directory_iterator at(input, code), end; !code && at != end;
       at.increment(code)) {
    std::error_code missing;
    if (isModelFile(at->path()) && fs::equivalent(output, at->path(), missing))
      return true;
  }
  return false;
}

ExitStatus rshard::tool::checkOutput(const std::string &path,
                                     const std::vector<std::string> &inputs) {
  for (const std::string &input : inputs)
    if (!input.empty() && isInput(path, input))
      return refuse(path + ": it is read too: the output would replace it",
                    BadUsage);
  auto writable = runtime::checkWritable(path);
  return writable ? Success : refuse(writable.error().message);
}

/// Opens /dev/null where there is no file.
static void reserve(int number, int flags) {
  if (::fcntl(number, F_GETFD) >= 0)
    return;
  int descriptor = ::open("/dev/null", flags);
  if (descriptor >= 0 && descriptor != number) {
    ::dup2(descriptor, number);
    ::close(descriptor);
  }
}

void rshard::tool::reserveStandardStreams() {
  reserve(STDERR_FILENO, O_WRONLY);
  // Open for reading: writes fail, as they should.
  reserve(STDOUT_FILENO, O_RDONLY);
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
