//===- CommandLine.cpp - from arguments to a subcommand -------------------===//

#include "Commands.h"
#include "Output.h"
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <sstream>

using namespace rshard::tool;

static ExitStatus parse(CLI::App &app, int argc, char **argv,
                        ExitStatus &status) {
  try {
    app.parse(argc, argv);
    return status;
  } catch (const CLI::Success &request) { // --help, --version
    std::ostringstream text;
    app.exit(request, text, text);
    llvm::outs() << text.str();
    return Success;
  } catch (const CLI::ParseError &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    std::fprintf(stderr, "note: rshard %s--help lists the options\n",
                 app.get_subcommands().empty()
                     ? ""
                     : (app.get_subcommands()[0]->get_name() + " ").c_str());
    return BadUsage;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: internal: %s\n", error.what());
    return Internal;
  }
}

ExitStatus rshard::tool::runCommandLine(int argc, char **argv) {
  reserveStandardOutput();
  ExitStatus status = Success;
  CLI::App app("Compiles a transformer whose tokens are sharded over nodes.",
               "rshard");
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.footer("\nExit status: 0, 1 (the input is wrong), 2 (usage), 3 (internal "
             "error).\nData goes to stdout, everything else to stderr.");
  addPlan(app, status);
  addExplain(app, status);
  addVerify(app, status);
  addCompile(app, status);
  addRun(app, status);
  addInspect(app, status);
  return finishStandardOutput(parse(app, argc, argv, status));
}
