//===- PlanOptions.cpp - the options that say which plan ------------------===//

#include "PlanOptions.h"
#include "OptionChecks.h"
#include "rshard/runtime/MappedFile.h"
#include "rshard/tokenset/ClusterRule.h"

using namespace rshard;
using namespace rshard::tool;

/// `1,0`: two numbers.
static bool parseLayers(const std::string &text, int32_t &first,
                        int32_t &last) {
  int used = 0;
  return std::sscanf(text.c_str(), "%9d,%9d%n", &first, &last, &used) == 2 &&
         used == static_cast<int>(text.size()) && first >= 0 && last >= 0;
}

void PlanOptions::add(CLI::App &app) {
  const char *group = "Plan";
  app.add_option("--plan", file, "read the plan from this JSON file")
      ->type_name("FILE")
      ->check(notEmpty("a path"))
      ->group(group);
  auto number = [&](const char *name, std::optional<int64_t> &value,
                    const char *help) {
    app.add_option(name, value, help)
        ->type_name("N")
        ->check(atLeast(1))
        ->group(group);
  };
  number("--comp", comp, "CompNodes [4]");
  number("--cluster", cluster,
         "neighbouring tokens that stay together [1; 2 without --comp, "
         "--period and --group]");
  number("--period", period,
         "positions after which the pattern repeats [comp x "
         "cluster; 7 without the others]");
  number("--group", this->group,
         "CompNodes whose clusters are dealt together to the grid [cluster]");
  app.add_option("--attn", attn,
                 "grid of AttnNodes, query x key shards [what the rule yields]")
      ->type_name("QxK")
      ->check(valid([](const std::string &text) {
        auto shape = tokenset::parseGridShape(text);
        return shape ? "" : shape.error().message;
      }))
      ->group(group);
  app.add_option("--client-layers", clientLayers,
                 "first and last layers that the client runs [0,0]")
      ->type_name("L0,L1")
      ->check(valid([](const std::string &text) {
        int32_t first = 0, last = 0;
        return parseLayers(text, first, last)
                   ? ""
                   : "'" + text + "' vs two numbers such as 1,0";
      }))
      ->group(group);
  auto type = [&](const char *name, std::string &value, const char *help) {
    app.add_option(name, value, help)
        ->type_name("TYPE")
        ->check(oneOf({"f32", "bf16", "f16"}))
        ->group(group);
  };
  type("--activations", activations,
       "type of hidden rows, queries, keys and values, unless the file says "
       "it: f32, bf16 or f16 [f32, bf16 for --target cuda]");
  type("--partials", partials,
       "type of partial results, unless the file says it: f32 or that of the "
       "activations [f32, that of the activations with one key shard]");
  app.add_option("--ranks", ranks, "ranks that share the nodes [one per node]")
      ->type_name("N")
      ->check(atLeast(1))
      ->group(group);
}

bool PlanOptions::given() const {
  return ruleGiven() || ranks || !file.empty() || !activations.empty() ||
         !partials.empty();
}

bool PlanOptions::ruleGiven() const {
  return comp || cluster || period || group || !attn.empty() ||
         !clientLayers.empty();
}

tokenset::Expected<tokenset::Plan>
rshard::tool::readPlanFile(const std::string &path,
                           const tokenset::AskedTypes &asked,
                           const std::string &usualActivations) {
  auto file = runtime::MappedFile::open(path);
  if (!file)
    return file.error();
  auto plan = tokenset::parsePlan(file->text(), asked, usualActivations);
  if (!plan)
    return tokenset::Error{path + ": " + plan.error().message};
  return plan;
}

ExitStatus PlanOptions::read(tokenset::Plan &plan,
                             const std::string &usualActivations) const {
  if (ruleGiven())
    return refuse("--plan: options of another plan were given too; only "
                  "--ranks changes a file's plan",
                  BadUsage);
  auto made = readPlanFile(file, {activations, partials}, usualActivations);
  if (!made)
    return refuse(made.error().message);
  plan = std::move(*made);
  if (ranks)
    if (auto placed = tokenset::place(plan, *ranks); !placed)
      return refuse(placed.error().message); // it names --ranks
  return Success;
}

ExitStatus PlanOptions::make(tokenset::Plan &plan,
                             const std::string &usualActivations) const {
  if (!file.empty())
    return read(plan, usualActivations);
  tokenset::ClusterRule rule;
  rule.comp = comp;
  rule.cluster = cluster;
  rule.period = period;
  rule.group = group;
  rule.ranks = ranks;
  if (!attn.empty())
    rule.attn = *tokenset::parseGridShape(attn);
  if (!clientLayers.empty())
    parseLayers(clientLayers, rule.clientFirst, rule.clientLast);
  rule.activations = activations.empty() ? usualActivations : activations;
  rule.partials = partials;
  auto made = tokenset::makePlan(rule);
  // Of options alone: they do not fit together.
  if (!made)
    return refuse("plan: " + made.error().message, BadUsage);
  plan = std::move(*made);
  return Success;
}
