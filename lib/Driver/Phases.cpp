//===- Phases.cpp - the phases of the compiler ----------------------------===//

#include "rshard/Driver/Phases.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "rshard/Analysis/Exchanges.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Transforms/Passes.h"
#include "rshard/runtime/AtomicFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace rshard;

static constexpr StringLiteral phaseNames[] = {"model", "planned",
                                               "partitioned", "scheduled"};

StringRef rshard::getPhaseName(Phase phase) {
  return phaseNames[static_cast<size_t>(phase)];
}

std::optional<Phase> rshard::findPhase(StringRef name) {
  for (auto [index, one] : llvm::enumerate(phaseNames))
    if (one == name)
      return static_cast<Phase>(index);
  return std::nullopt;
}

Phase rshard::getPhase(ModuleOp module) {
  Phase phase = Phase::Model;
  for (Operation &op : *module.getBody()) {
    Phase one = Phase::Model;
    if (isa<BufferOp>(op))
      one = Phase::Scheduled;
    else if (op.hasAttr(roleAttrName))
      one = Phase::Partitioned;
    else if (isa<PlacementOp>(op))
      one = Phase::Planned;
    phase = std::max(phase, one);
  }
  return phase;
}

static LogicalResult dump(ModuleOp module, Phase phase, StringRef directory) {
  if (directory.empty())
    return success();
  if (std::error_code error = llvm::sys::fs::create_directories(directory))
    return emitError(FileLineColLoc::get(module.getContext(), directory, 0, 0))
           << "cannot create the directory: " << error.message();
  llvm::SmallString<128> path(directory);
  llvm::sys::path::append(path, Twine(static_cast<int>(phase) + 1) + "." +
                                    getPhaseName(phase) + ".mlir");
  auto written =
      runtime::writeFileAtomically(path.c_str(), printModule(module));
  if (!written)
    return emitError(UnknownLoc::get(module.getContext()))
           << written.error().message;
  return success();
}

static LogicalResult runPass(ModuleOp module, std::unique_ptr<Pass> pass) {
  PassManager manager(module.getContext());
  manager.addPass(std::move(pass));
  return manager.run(module);
}

static LogicalResult enter(ModuleOp module, Phase phase,
                           const PhaseOptions &options) {
  switch (phase) {
  case Phase::Model:
    return success();
  case Phase::Planned:
    return attachPlan(module, options.plan);
  case Phase::Partitioned:
    return runPass(module, createPartitionPass());
  case Phase::Scheduled:
    return runPass(module, createSchedulePass());
  }
  llvm_unreachable("all phases are handled");
}

/// What every module of a phase must satisfy; with a plan from the partitioned
/// phase on.
static LogicalResult check(ModuleOp module, Phase phase) {
  if (failed(verify(module)))
    return failure();
  return success(phase < Phase::Partitioned ||
                 succeeded(verifyExchanges(module)));
}

LogicalResult rshard::runPhases(ModuleOp module, Phase from,
                                const PhaseOptions &options) {
  if (options.to < from)
    return module.emitError("cannot go back to phase ")
           << getPhaseName(options.to) << ": the module is "
           << getPhaseName(from);
  if (failed(check(module, from)) ||
      failed(dump(module, from, options.dumpDirectory)))
    return failure();
  for (Phase phase = from; phase < options.to;) {
    phase = static_cast<Phase>(static_cast<int>(phase) + 1);
    if (failed(enter(module, phase, options)) || failed(check(module, phase)) ||
        failed(dump(module, phase, options.dumpDirectory)))
      return failure();
  }
  return success();
}

std::string rshard::printModule(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  module.print(os);
  os << "\n";
  return text;
}
