//===- ModelOptions.h - the options that say which model --------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_MODELOPTIONS_H
#define RSHARD_TOOLS_RSHARD_MODELOPTIONS_H

#include "rshard/Import/Import.h"

namespace CLI {
class App;
} // namespace CLI

namespace rshard::tool {

/// MODEL and --config.
class ModelOptions {
public:
  /// What else may stand for MODEL. It may be missing where a plan may.
  enum class Other { None, Artifact, Plan };
  explicit ModelOptions(Other other = Other::None) : other(other) {}
  void add(CLI::App &app);
  const std::string &getPath() const { return path; }
  /// Whether MODEL is a file that compile wrote, as its name says: it is not
  /// opened.
  bool isArtifact() const;
  /// Whether --config was given.
  bool overridden() const { return !overrides.empty(); }

  /// Loads the model and says on stderr what was inferred. Errors are
  /// diagnostics of the context.
  /// `randomWeights`: as ImportOptions has it.
  mlir::FailureOr<ImportedModel> load(mlir::MLIRContext &context,
                                      bool randomWeights = false) const;

private:
  Other other;
  std::string path;
  std::vector<std::string> overrides;
};

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_MODELOPTIONS_H
