//===- Output.h - where results go: all of them, or an error -*- C++ -*-===//
//
// Commands write data to llvm::outs() and to nothing else.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TOOLS_RSHARD_OUTPUT_H
#define RSHARD_TOOLS_RSHARD_OUTPUT_H

#include "ExitStatus.h"
#include <vector>

namespace rshard::tool {

/// Writes text to a file, "-" for stdout, and says what is wrong.
ExitStatus writeOutput(const std::string &path, llvm::StringRef text);

/// Before long work: refuses a file that cannot be written, and one that is
/// read. `inputs`: files, and directories of models; empty paths are ignored.
ExitStatus checkOutput(const std::string &path,
                       const std::vector<std::string> &inputs);

/// Call it first: without it, if the shell gave no stdout or stderr, the next
/// file that is opened would be taken for it.
void reserveStandardStreams();

/// Hands over what was written so far; false if stdout has failed to take some
/// of it, and there is no use in making more.
bool flushStandardOutput();

/// Call it last: the status of the program, which has not succeeded if stdout
/// did not take everything. Says so on stderr.
ExitStatus finishStandardOutput(ExitStatus status);

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_OUTPUT_H
