//===- Verify.cpp - rshard verify -----------------------------------------===//

#include "rshard/tokenset/Verify.h"
#include "Commands.h"
#include "Subject.h"
#include "llvm/Support/raw_ostream.h"
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

using namespace rshard;
using namespace rshard::tool;
using namespace rshard::tokenset;

namespace {
struct Options {
  SubjectOptions subject{256, "positions whose routes are checked"};
  bool json = false;
};

struct Check {
  const char *name;
  std::string what;
  tokenset::Expected<void> result;
};
} // namespace

/// A prompt, a second part, single tokens, and a step back: together `length`
/// positions. A mask that sees everything allows one step alone.
static std::vector<Step> getSteps(int64_t length,
                                  const std::vector<Mask> &masks) {
  for (const Mask &mask : masks)
    if (mask.kind == MaskKind::Full)
      return {{0, length, length}};
  std::vector<Step> steps;
  int64_t at = 0;
  auto take = [&](int64_t rows) {
    rows = std::min(rows, length - at);
    if (rows > 0)
      steps.push_back({at, rows, 1});
    at += std::max<int64_t>(rows, 0);
  };
  take(length / 2);
  take(length / 4);
  if (at > 2)
    at -= 2;
  while (at < length)
    take(at + 8 < length ? 3 : 1);
  return steps;
}

static std::vector<Check> check(const SubjectOptions::Subject &subject,
                                int64_t length) {
  const Plan &plan = subject.plan;
  std::vector<Check> checks;
  checks.push_back({"C1", "every position has one owner in R, S and T",
                    verifyOwnership(plan, length)});
  checks.push_back(
      {"C2", "every visible pair has one cell", verifyCoverage(plan, length)});
  if (!checks[0].result || !checks[1].result)
    return checks;

  std::vector<Mask> masks = subject.maskClasses();
  std::vector<Step> steps = getSteps(length, masks);
  int64_t largest = 1;
  for (const Step &step : steps)
    largest = std::max(largest, step.rows);
  Expected<void> covered, matched;
  std::vector<Routes> routes;
  for (int32_t rank = 0; rank < plan.rankCount(); ++rank) {
    auto one = Routes::create(plan, masks, length, largest, rank);
    if (!one) {
      covered = one.error();
      break;
    }
    for (const std::string &name : RouteTables::names(masks.size()))
      one->want(name);
    routes.push_back(std::move(*one));
  }
  for (const Step &step : steps) {
    for (Routes &one : routes)
      if (covered)
        covered = one.fill(step);
    if (covered)
      covered = verifyCoverage(routes);
    if (covered && matched)
      matched = verifyMatching(routes);
    if (!covered || !matched)
      break;
  }
  checks.push_back({"C2", "the routes of every step cover it", covered});
  if (covered)
    checks.push_back(
        {"C6", "every send has one receive with the same rows", matched});
  // Held since it was loaded.
  if (subject.exchanges)
    checks.push_back({"C6",
                      "the programs receive all that they send, in " +
                          std::to_string(*subject.exchanges) + " exchanges",
                      {}});
  return checks;
}

static ExitStatus run(const Options &options) {
  SubjectOptions::Subject subject;
  if (ExitStatus status = options.subject.load(subject); status != Success)
    return status;
  ExitStatus status = Success;
  nlohmann::json list = nlohmann::json::array();
  for (const Check &one : check(subject, subject.length)) {
    bool good = bool(one.result);
    if (!good)
      status = BadInput;
    if (options.json) {
      nlohmann::json item = {
          {"constraint", one.name}, {"what", one.what}, {"holds", good}};
      if (!good)
        item["error"] = one.result.error().message;
      list.push_back(std::move(item));
    } else if (good) {
      llvm::outs() << one.name << " holds: " << one.what << "\n";
    }
    if (!good)
      llvm::errs() << "error: " << one.name << " does not hold: " << one.what
                   << ": " << one.result.error().message << "\n";
  }
  if (options.json)
    llvm::outs()
        << nlohmann::json{{"length", subject.length}, {"checks", list}}.dump()
        << "\n";
  else if (status == Success)
    llvm::outs() << "checked " << subject.length << " positions on "
                 << subject.plan.nodes() << " nodes and "
                 << subject.plan.rankCount() << " ranks\n";
  return status;
}

void rshard::tool::addVerify(CLI::App &app, ExitStatus &status) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand(
      "verify", "check a plan and its routes before anything runs");
  options->subject.add(*command);
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer("\nExamples:\n"
                  "  rshard verify plan.json\n"
                  "  rshard verify models/llama --comp 3 --attn 3x2\n");
  command->callback([options, &status] { status = run(*options); });
}
