//===- RunChecks.h - what a run refuses before it takes time ----*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_RUNCHECKS_H
#define RSHARD_TOOLS_RSHARD_RUNCHECKS_H

#include "Artifacts.h"
#include "Prompt.h"
#include "RunOptions.h"

namespace rshard::tool {

// Each prints what is wrong and returns the exit status, or Success.

/// What the options say by themselves, and whether MODEL is there.
ExitStatus checkUsage(const RunOptions &options);
/// Refuses options of a GPU that would change nothing.
ExitStatus checkGpuOptions(const RunOptions &options, bool onGpu);
/// Refuses what does not fit the model.
ExitStatus checkFit(const RunOptions &options, const ModelTraits &model);
/// Whether code can run here; for an artifact its session says so.
ExitStatus checkDevice(const RunOptions &options);
/// What would otherwise be found out after compiling, or after the last token.
/// `positions`: of model and plan, if that is known.
ExitStatus checkBeforeCompiling(const RunOptions &options, const Prompt &prompt,
                                const std::string &directory,
                                std::optional<int64_t> positions);

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_RUNCHECKS_H
