//===- CommandLine.cpp - from arguments to a subcommand -------------------===//

#include "Commands.h"
#include "Output.h"
#include "rshard/Driver/OutOfMemory.h"
#include "rshard/Driver/Program.h"
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <sstream>

using namespace rshard::tool;

static std::string listSubcommands(const CLI::App &app) {
  std::string list;
  for (const CLI::App *command : app.get_subcommands(nullptr))
    list += (list.empty() ? "" : ", ") + command->get_name();
  return list;
}

/// Names the words that are unknown, in their order.
static std::string sayUnexpected(const CLI::App &app) {
  auto chosen = app.get_subcommands();
  std::vector<std::string> words =
      (chosen.empty() ? app : *chosen[0]).remaining(false);
  if (chosen.empty() && !words.empty() && !words[0].starts_with('-'))
    return "'" + words[0] + "' vs one of " + listSubcommands(app);
  std::string list;
  for (const std::string &word : words)
    list += " " + word;
  return "not expected:" + list;
}

/// CLI11's words for a value too many or too few are about its own counts.
static std::string sayMismatch(const std::string &said) {
  auto option = [&](size_t end) { return said.substr(0, end); };
  if (size_t at = said.find(": At Most 1 required"); at != std::string::npos)
    return option(at) + ": it is given more than once";
  if (size_t at = said.find(": 1 required "); at != std::string::npos)
    return option(at) + ": its value is missing";
  return said;
}

static ExitStatus sayBadUsage(const CLI::App &app, const std::string &reason) {
  auto chosen = app.get_subcommands();
  std::fprintf(stderr, "error: %s\n", reason.c_str());
  std::fprintf(stderr, "note: rshard %s--help lists the options\n",
               chosen.empty() ? "" : (chosen[0]->get_name() + " ").c_str());
  return BadUsage;
}

static ExitStatus parse(CLI::App &app, int argc, char **argv,
                        ExitStatus &status) {
  try {
    app.parse(argc, argv);
    // Not CLI11's own check, which comes before it has seen an unknown word.
    if (app.get_subcommands().empty())
      throw CLI::RequiredError("a subcommand (" + listSubcommands(app) + ")");
    return status;
  } catch (const CLI::Success &request) { // --help, --version
    // Help on a word that is unknown is no help on all others.
    if (app.get_subcommands().empty() && app.remaining_size())
      return sayBadUsage(app, sayUnexpected(app));
    std::ostringstream text;
    app.exit(request, text, text);
    llvm::outs() << text.str();
    return Success;
  } catch (const CLI::ParseError &error) {
    return sayBadUsage(app, dynamic_cast<const CLI::ExtrasError *>(&error)
                                ? sayUnexpected(app)
                                : sayMismatch(error.what()));
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: internal: %s\n", error.what());
    return Internal;
  }
}

ExitStatus rshard::tool::runCommandLine(int argc, char **argv) {
  reserveStandardStreams();
  endWhenOutOfMemory(argc, argv);
  ExitStatus status = Success;
  CLI::App app("Compiles a transformer whose tokens are sharded over nodes.",
               "rshard");
  app.set_version_flag("--version", getProducer());
  app.get_formatter()->column_width(34);
  app.footer("\nExit status: 0, 1 (the input is wrong), 2 (usage), 3 (internal "
             "error).\nData goes to stdout, everything else to stderr.");
  addPlan(app, status);
  addExplain(app, status);
  addVerify(app, status);
  addCompile(app, status);
  addRun(app, status);
  addInspect(app, status);
  status = finishStandardOutput(parse(app, argc, argv, status));
  // Nobody is left to be told that stderr has failed, and results are whole:
  // LLVM would end the process with status 1.
  llvm::errs().clear_error();
  return status;
}
