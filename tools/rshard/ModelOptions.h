//===- ModelOptions.h - the options that say which model --------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_MODELOPTIONS_H
#define RSHARD_TOOLS_RSHARD_MODELOPTIONS_H

#include "rshard/Import/Import.h"

namespace CLI {
class App;
} // namespace CLI

namespace rshard::tool {

/// MODEL and --config. Where a model may be missing, PLAN may stand for it.
class ModelOptions {
public:
  explicit ModelOptions(bool required = true) : required(required) {}
  void add(CLI::App &app);
  const std::string &getPath() const { return path; }
  /// Whether --config was given.
  bool overridden() const { return !overrides.empty(); }

  /// Loads the model and says on stderr what was inferred. Errors are
  /// diagnostics of the context.
  /// `randomWeights`: as ImportOptions has it.
  mlir::FailureOr<ImportedModel> load(mlir::MLIRContext &context,
                                      bool randomWeights = false) const;

private:
  bool required;
  std::string path;
  std::vector<std::string> overrides;
};

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_MODELOPTIONS_H
