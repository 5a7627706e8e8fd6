//===- Subject.h - the plan that a command is about -------------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_SUBJECT_H
#define RSHARD_TOOLS_RSHARD_SUBJECT_H

#include "ExitStatus.h"
#include "ModelOptions.h"
#include "PlanOptions.h"
#include "rshard/Driver/ModelFacts.h"

namespace rshard::tool {

/// MODEL, PLAN, ARTIFACT or nothing, with the options of both: what plan,
/// explain and verify look at.
class SubjectOptions {
public:
  /// `length`: the usual one; `what`: the help of --length.
  SubjectOptions(int64_t length, std::string what)
      : length(length), what(std::move(what)) {}
  void add(CLI::App &app);
  const std::string &getPath() const { return model.getPath(); }

  struct Subject {
    tokenset::Plan plan;
    /// With a model, or an artifact of one.
    std::optional<ModelFacts> model;

    /// With programs, which an artifact has and IR from the partitioned phase
    /// on: the masks of their routes, and the exchanges that were followed
    /// (C6).
    std::vector<tokenset::Mask> routeMasks;
    std::optional<int64_t> exchanges;

    /// Masks of the layers that the plan shards; causal with nothing but a
    /// plan.
    std::vector<tokenset::Mask> shardedMasks() const;
    /// The distinct ones.
    std::vector<tokenset::Mask> maskClasses() const;
    /// Positions that plan and model reach.
    int64_t limit() const;
    /// --length, as far as there are positions.
    int64_t length = 0;
  };

  /// Runs on a module that holds programs, once the subject is known.
  using Inspection = llvm::function_ref<mlir::LogicalResult(mlir::ModuleOp)>;

  /// Prints what is wrong and returns the exit status, or Success.
  ExitStatus load(Subject &subject, Inspection inspect = {}) const;

private:
  ExitStatus loadPlan(Subject &subject, bool isPlan) const;
  ExitStatus loadModel(Subject &subject, Inspection inspect) const;
  ExitStatus loadArtifact(Subject &subject, Inspection inspect) const;
  ExitStatus loadPrograms(mlir::ModuleOp module, Subject &subject,
                          Inspection inspect) const;

  ModelOptions model{ModelOptions::Other::Plan};
  PlanOptions plan;
  int64_t length;
  std::string what;
};

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_SUBJECT_H
