//===- PlanOptions.h - the options that say which plan ----------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_PLANOPTIONS_H
#define RSHARD_TOOLS_RSHARD_PLANOPTIONS_H

#include "ExitStatus.h"
#include "rshard/tokenset/OpenTypes.h"
#include <optional>
#include <string>

namespace CLI {
class App;
} // namespace CLI

namespace rshard::tool {

/// --comp, --attn, --cluster, --period, --group, --ranks, --client-layers,
/// --activations, --partials; or --plan FILE.
class PlanOptions {
public:
  void add(CLI::App &app);

  /// Whether any of them was given.
  bool given() const;
  /// --plan, or empty.
  const std::string &getFile() const { return file; }
  /// The plan, from the file or by the figure's rule. Prints what is wrong and
  /// returns the exit status, or Success. `usualActivations`: the type of rows
  /// that neither --activations nor the file say.
  ExitStatus make(tokenset::Plan &plan,
                  const std::string &usualActivations = "f32") const;

private:
  /// Whether any option was given that makes a plan by the rule alone.
  bool ruleGiven() const;
  ExitStatus read(tokenset::Plan &plan,
                  const std::string &usualActivations) const;

  std::string file;
  std::optional<int64_t> comp, cluster, period, group, ranks;
  std::string attn, clientLayers, activations, partials;
};

/// Reads a plan from its JSON file; types as in parsePlan.
tokenset::Expected<tokenset::Plan>
readPlanFile(const std::string &path, const tokenset::AskedTypes &asked = {},
             const std::string &usualActivations = "f32");

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_PLANOPTIONS_H
