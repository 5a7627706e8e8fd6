//===- Artifacts.h - from a model to an artifact on disk --------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_ARTIFACTS_H
#define RSHARD_TOOLS_RSHARD_ARTIFACTS_H

#include "ExitStatus.h"
#include "ModelOptions.h"
#include "PlanOptions.h"
#include "rshard/Driver/Program.h"
#include "rshard/runtime/Artifact.h"
#include <filesystem>
#include <functional>
#include <optional>

namespace rshard::tool {

/// What decides how a model can be run.
struct ModelTraits {
  std::string architecture;
  bool attentionOnly = false, hasHead = true;
};

ModelTraits traitsOf(const runtime::ModelInfo &model);

using AcceptModel =
    std::function<tokenset::Expected<void>(const ModelTraits &model)>;

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
  /// Asked once about a model, before its weights are read and code is
  /// generated for it if its module says what is asked; empty: any will do.
  AcceptModel accept = {};
};

/// Asks about a model that is IR, as ArtifactRequest::accept, and compiles
/// nothing. Leaves `accept` empty if it was asked.
ExitStatus askModel(const ModelOptions &model, AcceptModel &accept);

/// Refuses `option`, which is about weights, for a model that has none.
ExitStatus checkHasWeights(mlir::ModuleOp module, const ModelOptions &model,
                           const char *option);

/// Compiles to `path`. Prints what is wrong and returns the exit status.
ExitStatus compileArtifact(const ArtifactRequest &request,
                           const std::filesystem::path &path);

/// As compileArtifact, into the artifact cache under the hash of everything
/// that the artifact depends on; an artifact that is there is not compiled
/// again. Opens it.
ExitStatus compileCached(const ArtifactRequest &request,
                         std::optional<runtime::Artifact> &artifact);

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_ARTIFACTS_H
