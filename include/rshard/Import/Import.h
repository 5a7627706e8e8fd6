//===- Import.h - from a model directory to the model phase -----*- C++ -*-===//

#ifndef RSHARD_IMPORT_IMPORT_H
#define RSHARD_IMPORT_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <string>
#include <vector>

namespace rshard {

/// One key of config.json and the value that replaces the file's.
struct ConfigOverride {
  std::string key;
  /// JSON text; anything that does not parse is taken as a string.
  std::string value;
};

struct ImportOptions {
  std::vector<ConfigOverride> overrides;
  /// The weights are random (Weights::random): no file is read, and every
  /// tensor has the shape that the configuration gives it.
  bool randomWeights = false;
};

/// Reads `KEY=VALUE`; nullopt if there is no key.
std::optional<ConfigOverride> parseConfigOverride(llvm::StringRef text);

/// A module of the model phase.
struct ImportedModel {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  /// What was inferred, one line each, with the option that overrides it.
  std::vector<std::string> notes;
};

/// Imports a Hugging Face directory: config.json, generation_config.json if it
/// is there, and the names, types and shapes of *.safetensors (no values are
/// read). Errors are diagnostics of the context: an unknown architecture, a
/// value of the configuration that changes the mathematics and is not
/// supported, a missing weight, a weight of another shape.
mlir::FailureOr<ImportedModel> importModel(mlir::MLIRContext *context,
                                           llvm::StringRef directory,
                                           const ImportOptions &options = {});

/// Imports a directory, or parses and verifies an `.mlir` or `.mlirbc` file of
/// any phase. Overrides of the configuration need a directory.
mlir::FailureOr<ImportedModel> loadModel(mlir::MLIRContext *context,
                                         llvm::StringRef path,
                                         const ImportOptions &options = {});

/// Names of the architectures that importModel knows, sorted.
std::vector<llvm::StringRef> getArchitectureNames();

} // namespace rshard

#endif // RSHARD_IMPORT_IMPORT_H
