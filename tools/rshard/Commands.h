//===- Commands.h - the subcommands of rshard -------------------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_COMMANDS_H
#define RSHARD_TOOLS_RSHARD_COMMANDS_H

#include "ExitStatus.h"

namespace CLI {
class App;
} // namespace CLI

namespace rshard::tool {

/// Each adds one subcommand, which sets `status` when it is run. Options live
/// as long as the program.
void addCompile(CLI::App &app, ExitStatus &status);
void addExplain(CLI::App &app, ExitStatus &status);
void addInspect(CLI::App &app, ExitStatus &status);
void addPlan(CLI::App &app, ExitStatus &status);
void addRun(CLI::App &app, ExitStatus &status);
void addVerify(CLI::App &app, ExitStatus &status);

/// Parses the command line and runs the subcommand.
ExitStatus runCommandLine(int argc, char **argv);

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_COMMANDS_H
