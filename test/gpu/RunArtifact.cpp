//===- RunArtifact.cpp - runs an artifact without the compiler ------------===//
//
// usage: run-artifact ARTIFACT MODEL < REQUESTS.json
//
// MODEL is a directory, or random:SEED. REQUESTS.json is a list of {"tokens":
// [...], "steps": [...], "new_tokens": N, "logits": "OUT.npy"}. Every request
// starts a text: the tokens are run in steps of the given sizes (one step
// without "steps"), the results of all rows are written to the file if there is
// one, and N tokens are appended greedily. Prints a list of {"tokens": [...],
// "prompt_seconds": S, "token_seconds": S}: the time in Session::step.
//
// Links the runtime alone: it runs where no LLVM is installed.
//
//===----------------------------------------------------------------------===//

#include "rshard/runtime/Npy.h"
#include "rshard/runtime/Runtime.h"
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>

using namespace rshard::runtime;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

static std::vector<int64_t> stepsOf(const json &request) {
  return request.value("steps", std::vector<int64_t>{static_cast<int64_t>(
                                    request.at("tokens").size())});
}

static Expected<json> runRequest(Session &session, Sampler &sampler,
                                 const json &request) {
  auto tokens = request.at("tokens").get<std::vector<int32_t>>();
  bool all = request.contains("logits");
  std::vector<float> results;
  std::span<const float> last; // until the next step
  int64_t position = 0;
  double promptSeconds = 0, tokenSeconds = 0;
  for (int64_t step : stepsOf(request)) {
    Clock::time_point begin = Clock::now();
    auto rows =
        session.step(std::span(tokens).subspan(static_cast<size_t>(position),
                                               static_cast<size_t>(step)),
                     position, all ? Want::All : Want::Last);
    promptSeconds += secondsSince(begin);
    if (!rows)
      return rows.error();
    if (all)
      results.insert(results.end(), rows->data,
                     rows->data + rows->rows * rows->width);
    last = rows->row(rows->rows - 1);
    position += step;
  }
  if (all) {
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
    Clock::time_point begin = Clock::now();
    auto rows = session.step(std::span(tokens).last(1), session.length());
    tokenSeconds += secondsSince(begin);
    if (!rows)
      return rows.error();
    last = rows->row(0);
  }
  return json{{"tokens", tokens},
              {"prompt_seconds", promptSeconds},
              {"token_seconds", tokenSeconds}};
}

/// A session with room for these requests.
static SessionOptions optionsFor(const json &requests) {
  SessionOptions options;
  for (const json &request : requests) {
    options.capacity = std::max(
        options.capacity, static_cast<int64_t>(request.at("tokens").size()) +
                              request.value("new_tokens", int64_t(0)));
    for (int64_t step : stepsOf(request))
      options.largestStep = std::max(options.largestStep, step);
    options.allRows |= request.contains("logits");
  }
  return options;
}

static Expected<Weights> openWeights(const std::string &model,
                                     const Manifest &manifest) {
  const std::string random = "random:";
  if (model.starts_with(random))
    return Weights::random(manifest, std::stoull(model.substr(random.size())));
  return Weights::open(model);
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
  auto weights = openWeights(argv[2], artifact->manifest());
  if (!weights)
    return fail(weights.error());
  json requests = json::parse(std::cin);
  auto session = Session::create(*artifact, *weights, optionsFor(requests));
  if (!session)
    return fail(session.error());
  auto sampler = Sampler::create({});
  json results = json::array();
  for (const json &request : requests) {
    auto result = runRequest(*session, *sampler, request);
    if (!result)
      return fail(result.error());
    results.push_back(*result);
  }
  std::cout << results.dump() << "\n";
  return 0;
}
