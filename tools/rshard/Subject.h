//===- Subject.h - the plan that a command is about -------------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_SUBJECT_H
#define RSHARD_TOOLS_RSHARD_SUBJECT_H

#include "ExitStatus.h"
#include "ModelOptions.h"
#include "PlanOptions.h"
#include "rshard/Driver/ModelFacts.h"

namespace rshard::tool {

/// MODEL, PLAN or nothing, with the options of both: what plan, explain and
/// verify look at.
class SubjectOptions {
public:
  void add(CLI::App &app);

  struct Subject {
    tokenset::Plan plan;
    /// With a model.
    std::optional<ModelFacts> model;

    /// Masks of the layers that the plan shards; causal without a model.
    std::vector<tokenset::Mask> shardedMasks() const;
    /// The distinct ones.
    std::vector<tokenset::Mask> maskClasses() const;
  };

  /// Prints what is wrong and returns the exit status, or Success.
  ExitStatus load(Subject &subject) const;

private:
  ExitStatus loadModel(Subject &subject) const;

  ModelOptions model{/*required=*/false};
  PlanOptions plan;
};

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_SUBJECT_H
