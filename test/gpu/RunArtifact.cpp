//===- RunArtifact.cpp - runs an artifact without the compiler ------------===//
//
// usage: run-artifact ARTIFACT MODEL < REQUESTS.json
//
// REQUESTS.json is a list of {"tokens": [...], "steps": [...], "new_tokens": N,
// "logits": "OUT.npy"}. Every request starts a text: the tokens are run in steps
// of the given sizes (one step without "steps"), the results of all rows are
// written to the file, and N tokens are appended greedily. Prints a list of
// {"tokens": [...]}.
//
// Links the runtime alone: it runs where no LLVM is installed.
//
//===----------------------------------------------------------------------===//

#include "rshard/runtime/Npy.h"
#include "rshard/runtime/Runtime.h"
#include <iostream>
#include <nlohmann/json.hpp>

using namespace rshard::runtime;
using nlohmann::json;

static Expected<json> runRequest(Session &session, Sampler &sampler,
                                 const json &request) {
  auto tokens = request.at("tokens").get<std::vector<int32_t>>();
  auto steps = request.value(
      "steps", std::vector<int64_t>{static_cast<int64_t>(tokens.size())});
  std::vector<float> results, last;
  int64_t position = 0;
  for (int64_t step : steps) {
    auto rows = session.step(
        std::span(tokens).subspan(static_cast<size_t>(position),
                                  static_cast<size_t>(step)),
        position, Want::All);
    if (!rows)
      return rows.error();
    results.insert(results.end(), rows->data,
                   rows->data + rows->rows * rows->width);
    auto row = rows->row(rows->rows - 1);
    last.assign(row.begin(), row.end());
    position += step;
  }
  if (request.contains("logits")) {
    int64_t width = session.resultWidth();
    if (auto written = writeNpy(request["logits"].get<std::string>(), results,
                                position, width);
        !written)
      return written.error();
  }
  for (int64_t i = request.value("new_tokens", int64_t(0)); i > 0; --i) {
    auto token = sampler.next(last);
    if (!token)
      return token.error();
    tokens.push_back(*token);
    if (i == 1)
      break;
    auto rows = session.step(std::span(tokens).last(1), session.length());
    if (!rows)
      return rows.error();
    auto row = rows->row(0);
    last.assign(row.begin(), row.end());
  }
  return json{{"tokens", tokens}};
}

int main(int argc, char **argv) {
  if (argc != 3) {
    std::cerr << "usage: run-artifact ARTIFACT MODEL < REQUESTS.json\n";
    return 2;
  }
  auto fail = [](const Error &error) {
    std::cerr << "error: " << error.message << "\n";
    return 1;
  };
  auto artifact = Artifact::open(argv[1]);
  if (!artifact)
    return fail(artifact.error());
  auto weights = Weights::open(argv[2]);
  if (!weights)
    return fail(weights.error());
  SessionOptions options;
  options.allRows = true;
  auto session = Session::create(*artifact, *weights, options);
  if (!session)
    return fail(session.error());
  auto sampler = Sampler::create({});
  json results = json::array();
  for (const json &request : json::parse(std::cin)) {
    auto result = runRequest(*session, *sampler, request);
    if (!result)
      return fail(result.error());
    results.push_back(*result);
  }
  std::cout << results.dump() << "\n";
  return 0;
}
