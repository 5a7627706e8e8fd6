//===- Artifacts.h - from a model to an artifact on disk --------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_ARTIFACTS_H
#define RSHARD_TOOLS_RSHARD_ARTIFACTS_H

#include "ExitStatus.h"
#include "ModelOptions.h"
#include "PlanOptions.h"
#include "rshard/Driver/CompilerContext.h"
#include "rshard/Driver/DiagnosticPrinter.h"
#include "rshard/Driver/Program.h"
#include "rshard/runtime/Artifact.h"
#include <filesystem>
#include <optional>

namespace rshard::tool {

/// What decides how a model can be run.
struct ModelTraits {
  std::string architecture;
  bool attentionOnly = false, hasHead = true;
  /// That model and plan reach.
  int64_t positions = 0;
};

ModelTraits traitsOf(const runtime::Manifest &manifest);

/// By its name: cpu or cuda.
inline Target targetOf(const std::string &name) {
  return name == "cuda" ? Target::CUDA : Target::CPU;
}
/// The type of rows if neither plan nor options say it.
inline const char *usualActivations(Target target) {
  return target == Target::CUDA ? "bf16" : "f32";
}

/// What a compilation to an artifact needs to know beside model and plan.
struct ArtifactRequest {
  const ModelOptions &model;
  const PlanOptions &plan;
  Target target = Target::CPU;
  std::string cpu = "native";
  /// The path of ptxas; may be empty.
  std::string assembler;
  /// The phase of an .mlir MODEL; empty: found by its ops.
  std::string from;
  std::string dumpPhases;
  /// A directory with the weights of an .mlir MODEL; may be empty.
  std::string weights;
  /// No weights at all: random ones will do.
  bool randomWeights = false;
};

/// A model that is loaded once and then compiled. Its functions print what is
/// wrong and return the exit status.
class Compilation {
public:
  explicit Compilation(ArtifactRequest request);

  /// Reads the model and makes its plan: no weights, no code.
  ExitStatus load();
  /// What was loaded; none if the module is of a later phase, which does not
  /// say: the artifact's manifest will.
  const std::optional<ModelTraits> &getTraits() const { return traits; }
  /// Compiles to `path`.
  ExitStatus compile(const std::filesystem::path &path);
  /// As compile, into the artifact cache under the hash of everything that the
  /// artifact depends on; an artifact that is there is not compiled again.
  /// Opens it.
  ExitStatus openCached(std::optional<runtime::Artifact> &artifact);

private:
  ExitStatus readTraits();
  /// Settles what code is generated for, and hashes the weights.
  ExitStatus prepare();
  ExitStatus checkWeights();
  ExitStatus identify();
  /// Of the plan, which the module may already hold.
  tokenset::RowTypes rowTypes();
  ExitStatus getKey(std::string &key);
  ExitStatus generate(const std::filesystem::path &path);

  ArtifactRequest request;
  CompilerContext context;
  DiagnosticPrinter printer;
  ImportedModel model;
  std::optional<ModelTraits> traits;
  Phase from = Phase::Model;
  ProgramOptions options;
};

/// Refuses an assembler for code that is not for a GPU.
ExitStatus checkAssembler(const std::string &assembler, bool onGpu);
/// Refuses a file of weights beside a model that is a directory.
ExitStatus checkWeightsFile(const std::string &weights,
                            const ModelOptions &model);

/// Refuses `option`, which is about weights, for a model that has none.
ExitStatus checkHasWeights(mlir::ModuleOp module, const ModelOptions &model,
                           const char *option);

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_ARTIFACTS_H
