//===- LoadModel.cpp - a model directory or a file of IR ------------------===//

#include "Report.h"
#include "mlir/Parser/Parser.h"
#include "rshard/Import/Import.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace rshard;

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
  ImportedModel imported;
  imported.module = parseSourceFile<ModuleOp>(path, context);
  if (!imported.module)
    return failure();
  return imported;
}
