//===- LoadModel.cpp - a model directory or a file of IR ------------------===//

#include "Report.h"
#include "mlir/Parser/Parser.h"
#include "rshard/Import/Import.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace rshard;

/// The most brackets that are open at once in MLIR's text: ( [ { and <.
static int64_t nestingOf(StringRef text) {
  int64_t depth = 0, most = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    switch (text[at]) {
    case '"':
      while (++at < text.size() && text[at] != '"')
        at += text[at] == '\\';
      break;
    case '/':
      if (text.substr(at).starts_with("//"))
        at = std::min(text.find('\n', at), text.size());
      break;
    case '-':
      at += text.substr(at).starts_with("->");
      break;
    case '(':
    case '[':
    case '{':
    case '<':
      most = std::max(most, ++depth);
      break;
    case ')':
    case ']':
    case '}':
    case '>':
      depth -= depth > 0;
      break;
    }
  }
  return most;
}

/// MLIR's parser calls itself for what stands in brackets, and ends the process
/// where the stack does: with 8 MB behind 3000 of them.
static bool isTooDeep(StringRef path, Report &report) {
  constexpr int64_t most = 1000;
  auto file = llvm::MemoryBuffer::getFile(path);
  int64_t depth = file ? nestingOf((*file)->getBuffer()) : 0;
  if (depth <= most)
    return false;
  report.fail(report.locate(path), Twine(depth) +
                                       " brackets stand in one another vs at "
                                       "most " +
                                       Twine(most));
  return true;
}

FailureOr<ImportedModel> rshard::loadModel(MLIRContext *context, StringRef path,
                                           const ImportOptions &options) {
  Report report(context);
  if (llvm::sys::fs::is_directory(path))
    return importModel(context, path, options);
  if (!llvm::sys::fs::exists(path)) {
    report.fail(report.locate(path), "no such file or directory");
    return failure();
  }
  StringRef extension = llvm::sys::path::extension(path);
  if (extension != ".mlir" && extension != ".mlirbc") {
    report.fail(report.locate(path),
                "not a model: '" + extension +
                    "' vs a directory with config.json, or .mlir");
    return failure();
  }
  // Whose reading ends.
  if (!llvm::sys::fs::is_regular_file(path)) {
    report.fail(report.locate(path), "not a regular file");
    return failure();
  }
  if (!options.overrides.empty()) {
    report.fail(report.locate(path), "--config " +
                                         options.overrides.front().key +
                                         "=... vs no config.json: it is IR");
    return failure();
  }
  if (extension == ".mlir" && isTooDeep(path, report))
    return failure();
  ImportedModel imported;
  imported.module = parseSourceFile<ModuleOp>(path, context);
  if (!imported.module)
    return failure();
  return imported;
}
