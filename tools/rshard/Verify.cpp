//===- Verify.cpp - rshard verify -----------------------------------------===//

#include "rshard/tokenset/Verify.h"
#include "Commands.h"
#include "Count.h"
#include "Progress.h"
#include "Subject.h"
#include "rshard/Analysis/Messages.h"
#include "rshard/runtime/HostMemory.h"
#include "rshard/tokenset/StepSequence.h"
#include "llvm/Support/FormatVariadic.h"
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

/// C2 and C6 of the plan's routes in the steps of a text.
static void checkRoutes(const SubjectOptions::Subject &subject,
                        std::vector<Check> &checks) {
  Expected<void> covered, matched;
  auto sequence =
      StepSequence::create(subject.plan, subject.maskClasses(), subject.length);
  if (!sequence)
    covered = sequence.error();
  Progress progress("checking routes");
  while (covered && matched) {
    progress(uint64_t(sequence->steps()), uint64_t(sequence->totalSteps()));
    auto next = sequence->next();
    if (next && !*next)
      break;
    covered = next ? verifyCoverage(sequence->routes()) : next.error();
    if (covered)
      matched = verifyMatching(sequence->routes());
  }
  checks.push_back({"C2", "the routes of every step cover it", covered});
  if (covered)
    checks.push_back(
        {"C6", "every send has one receive with the same rows", matched});
}

static std::vector<Check> check(const SubjectOptions::Subject &subject,
                                const std::optional<RoutedMessages> &routed) {
  std::vector<Check> checks;
  checks.push_back({"C1", "every position has one owner in R, S and T",
                    verifyOwnership(subject.plan, subject.length)});
  checks.push_back({"C2", "every visible pair has one cell",
                    verifyCoverage(subject.plan, subject.length)});
  if (checks[0].result && checks[1].result)
    checkRoutes(subject, checks);
  // Of programs: held since they were loaded.
  if (subject.exchanges)
    checks.push_back({"C6",
                      "the programs receive all that they send, in " +
                          std::to_string(*subject.exchanges) + " exchanges",
                      {}});
  if (routed)
    checks.push_back({"C6",
                      "every message is one that the routes list (messages: " +
                          std::to_string(routed->messages) +
                          ", steps: " + std::to_string(routed->steps) + ")",
                      {}});
  return checks;
}

/// The system would end the process in the middle of it.
static ExitStatus checkMemory(const SubjectOptions::Subject &subject) {
  auto need =
      StepSequence::bytes(subject.plan, subject.maskClasses(), subject.length);
  uint64_t available = runtime::availableMemory();
  if (!need || *need <= available)
    return Success; // other errors are found by the checks
  return refuse(
      llvm::formatv("--length {0}: {1:F1} GB of memory are needed for "
                    "the routes of {2}, {3:F1} GB are available",
                    subject.length, double(*need) / 1e9,
                    count(subject.plan.rankCount(), "rank"),
                    double(available) / 1e9)
          .str());
}

static ExitStatus run(const Options &options) {
  SubjectOptions::Subject subject;
  std::optional<RoutedMessages> routed;
  auto inspect = [&](mlir::ModuleOp module) -> mlir::LogicalResult {
    if (checkMemory(subject) != Success)
      return mlir::failure();
    mlir::FailureOr<RoutedMessages> found =
        verifyMessages(module, subject.length);
    if (mlir::succeeded(found))
      routed = *found;
    return found;
  };
  if (ExitStatus status = options.subject.load(subject, inspect);
      status != Success)
    return status;
  if (!routed) // else it was checked before there were routes
    if (ExitStatus status = checkMemory(subject); status != Success)
      return status;
  ExitStatus status = Success;
  nlohmann::json list = nlohmann::json::array();
  for (const Check &one : check(subject, routed)) {
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
  nlohmann::json report = {{"length", subject.length}, {"checks", list}};
  if (routed)
    report["programs"] = {{"exchanges", *subject.exchanges},
                          {"steps", routed->steps},
                          {"messages", routed->messages}};
  if (options.json)
    llvm::outs() << report.dump() << "\n";
  else if (status == Success)
    llvm::outs() << "checked " << count(subject.length, "position") << " on "
                 << count(subject.plan.nodes(), "node") << " and "
                 << count(subject.plan.rankCount(), "rank") << "\n";
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
