//===- RunReport.h - what a run says ----------------------------*- C++ -*-===//

#ifndef RSHARD_TOOLS_RSHARD_RUNREPORT_H
#define RSHARD_TOOLS_RSHARD_RUNREPORT_H

#include "Generation.h"
#include "Prompt.h"

namespace rshard::tool {

/// Streams generated text (or token ids) to stdout and sums up on stderr; with
/// `json`, prints one object at the end instead of the stream.
class RunReport {
public:
  RunReport(const runtime::Session &session, const Prompt &prompt, bool json);

  /// False if stdout takes no more.
  bool stream(int32_t token);
  /// The rest of the stream, the views of the nodes and, if asked for, numbers.
  void finish(const Generation &generation, bool stats);

private:
  void printStats(const Generation &generation) const;
  void printJson(const Generation &generation, const std::string &views) const;

  const runtime::Session &session;
  const Prompt &prompt;
  bool json;
  bool first = true;
  std::optional<tokenizer::Tokenizer::Stream> text;
};

} // namespace rshard::tool

#endif // RSHARD_TOOLS_RSHARD_RUNREPORT_H
