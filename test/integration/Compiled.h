//===- Compiled.h - models compiled in process, once per plan -------------===//

#ifndef RSHARD_TEST_INTEGRATION_COMPILED_H
#define RSHARD_TEST_INTEGRATION_COMPILED_H

#include "Models.h"
#include "rshard/tokenset/ClusterRule.h"
#include "rshard/tokenset/Plan.h"

namespace rshard::integration {

/// The plans that every model runs under; the client runs no layers and every
/// node is a rank of its own.
struct NamedPlan {
  std::string name;
  tokenset::ClusterRule rule;
};
const std::vector<NamedPlan> &plans();
/// The plan with client layers.
tokenset::Plan makePlan(const std::string &name, int32_t clientFirst = 0,
                        int32_t clientLast = 0);

/// A model under one of the plans, with client layers.
struct Subject {
  std::string model, plan;
  int32_t clientFirst = 0, clientLast = 0;
};
/// Every model under every plan, with client layers 0,0 and 1,0, and 1,1 where
/// a sharded layer remains.
std::vector<Subject> subjects();
/// "llama_tiny_figure_1_0"
std::string nameOf(const Subject &subject);
void PrintTo(const Subject &subject, std::ostream *os);
tokenset::Plan planOf(const Subject &subject);

/// Placements of a plan's nodes: every node its own rank, all on one, and
/// `count` random ones that depend on the seed alone.
std::vector<tokenset::Plan> placements(const tokenset::Plan &plan, int count,
                                       uint32_t seed);
tokenset::Plan placeTogether(tokenset::Plan plan);
tokenset::Plan placeRandomly(tokenset::Plan plan, uint32_t seed);
/// "3 ranks: 0 1 2 0 ..."
std::string describePlacement(const tokenset::Plan &plan);

/// Text of the compiler's diagnostics if it refuses, else the artifact's file.
struct Compilation {
  std::filesystem::path artifact;
  std::string diagnostics;
};
/// Compiles the directory for the plan into the file.
Compilation compile(const std::filesystem::path &directory,
                    const tokenset::Plan &plan,
                    const std::filesystem::path &file);

/// The artifact of a model and plan, for the life of the program; ends the
/// program if it cannot be compiled. Compiled on first use for every node its
/// own rank: another placement is the same code with another plan beside it
/// (DeterminismTest compiles both).
const runtime::Artifact &artifactOf(const Model &model,
                                    const tokenset::Plan &plan);
/// The model's weights, opened once.
const runtime::Weights &weightsOf(const Model &model);

/// A session of 256 positions with room for every row's results, unless the
/// options say otherwise.
runtime::Session createSession(const Model &model, const tokenset::Plan &plan,
                               runtime::SessionOptions options = {});

/// A directory of its own, removed when the program ends.
std::filesystem::path scratchDirectory();

} // namespace rshard::integration

#endif // RSHARD_TEST_INTEGRATION_COMPILED_H
