//===- ShardingTax.cpp - What sharding costs on the same cores ------------===//
//
// sharding-tax --model DIR [options] NAME=ARTIFACT...
//
// Runs the same prompt through artifacts of one model and compares each with
// the first: time of the prefill, time of a decoded token at that context, and
// peak memory. The artifacts take turns in one process, so that whatever else
// the machine does meets all of them; a ratio is the median of the rounds'
// ratios. CPU time (user + system, all threads) stands beside wall time,
// because waiting for a core that another program holds is wall time only.
// Peak memory is that of a process that holds one artifact alone.
//
//===----------------------------------------------------------------------===//

#include "rshard/runtime/Runtime.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace rshard::runtime;

namespace {

constexpr const char *usage =
    "usage: sharding-tax --model DIR [--tokens N] [--decode N] [--rounds N]\n"
    "                    [--threads N] [--json] NAME=ARTIFACT...\n"
    "  --model DIR   model directory with the artifacts' weights\n"
    "  --tokens N    random prompt tokens [512]\n"
    "  --decode N    tokens decoded in a round, at that context [16]\n"
    "  --rounds N    rounds after one that warms up [9]\n"
    "  --threads N   threads; 0: as many as the machine allows [0]\n"
    "  --json        one JSON object instead of a table\n"
    "Artifacts are compared with the first of them.\n";

struct Options {
  std::string model;
  int tokens = 512, decode = 16, rounds = 9, threads = 0;
  bool json = false;
  std::vector<std::pair<std::string, std::string>> artifacts;
};

[[noreturn]] void fail(int status, const std::string &message) {
  fprintf(stderr, "sharding-tax: error: %s\n%s", message.c_str(),
          status == 2 ? usage : "");
  exit(status);
}

template <typename T> T take(Expected<T> result) {
  if (!result)
    fail(1, result.error().message);
  return std::move(*result);
}

int number(std::string_view name, const char *text, int least) {
  char *end = nullptr;
  long value = strtol(text, &end, 10);
  if (!*text || *end || value < least || value > 1000000)
    fail(2, std::string(name) + " takes a number from " +
                std::to_string(least) + ", not " + text);
  return static_cast<int>(value);
}

Options parse(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    auto value = [&] {
      if (++i == argc)
        fail(2, std::string(argument) + " takes a value");
      return argv[i];
    };
    if (argument == "--help") {
      fputs(usage, stdout);
      exit(0);
    }
    if (argument == "--model")
      options.model = value();
    else if (argument == "--tokens")
      options.tokens = number(argument, value(), 1);
    else if (argument == "--decode")
      options.decode = number(argument, value(), 1);
    else if (argument == "--rounds")
      options.rounds = number(argument, value(), 1);
    else if (argument == "--threads")
      options.threads = number(argument, value(), 0);
    else if (argument == "--json")
      options.json = true;
    else if (size_t at = argument.find('=');
             at != argument.npos && at > 0 && argument.substr(0, 2) != "--")
      options.artifacts.emplace_back(argument.substr(0, at),
                                     argument.substr(at + 1));
    else
      fail(2, "unknown argument " + std::string(argument));
  }
  if (options.model.empty() || options.artifacts.empty())
    fail(2, "a model and at least one artifact are needed");
  return options;
}

/// Seconds since some fixed time.
struct Times {
  double wall, cpu;
  static Times now() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    auto seconds = [](const timeval &time) {
      return static_cast<double>(time.tv_sec) +
             static_cast<double>(time.tv_usec) * 1e-6;
    };
    auto wall = std::chrono::steady_clock::now().time_since_epoch();
    return {std::chrono::duration<double>(wall).count(),
            seconds(used.ru_utime) + seconds(used.ru_stime)};
  }
  Times since(Times begin) const {
    return {wall - begin.wall, cpu - begin.cpu};
  }
};

/// Milliseconds of each round.
struct Series {
  std::vector<double> wall, cpu;
  void add(Times time, int parts = 1) {
    wall.push_back(time.wall * 1e3 / parts);
    cpu.push_back(time.cpu * 1e3 / parts);
  }
};

struct Run {
  std::string name;
  Session session;
  Series prefill, decode;
  double peak = 0;             ///< MB
  std::vector<int32_t> picked; ///< greedy tokens
};

Session open(const Options &options, const std::string &path,
             const Weights &weights) {
  SessionOptions session;
  session.capacity = options.tokens + options.decode;
  session.largestStep = options.tokens;
  return take(Session::create(take(Artifact::open(path)), weights, session));
}

int32_t best(const Rows &rows) {
  std::span<const float> row = rows.row(0);
  return static_cast<int32_t>(std::max_element(row.begin(), row.end()) -
                              row.begin());
}

void round(const Options &options, const std::vector<int32_t> &prompt,
           Session &session, Run *run) {
  Times begin = Times::now();
  int32_t token = best(take(session.step(prompt, 0)));
  Times middle = Times::now();
  std::vector<int32_t> picked;
  for (int i = 0; i < options.decode; ++i) {
    picked.push_back(token);
    token = best(take(session.step({&token, 1}, options.tokens + i)));
  }
  picked.push_back(token);
  if (!run)
    return;
  run->decode.add(Times::now().since(middle), options.decode);
  run->prefill.add(middle.since(begin));
  run->picked = picked;
}

std::vector<int32_t> randomPrompt(const Options &options, int64_t vocabulary) {
  std::minstd_rand random(1);
  std::vector<int32_t> prompt;
  for (int i = 0; i < options.tokens; ++i)
    prompt.push_back(static_cast<int32_t>(random() % vocabulary));
  return prompt;
}

/// Peak resident memory (MB) of a child process that runs one round. To be
/// called before this process has threads.
double peakMemory(const Options &options, const std::string &path) {
  int result[2];
  if (pipe(result) != 0)
    fail(3, "no pipe");
  pid_t child = fork();
  if (child < 0)
    fail(3, "cannot fork");
  if (child == 0) {
    setThreads(options.threads);
    Weights weights = take(Weights::open(options.model));
    Session session = open(options, path, weights);
    round(options, randomPrompt(options, session.manifest().model.vocabulary),
          session, nullptr);
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    double peak = static_cast<double>(used.ru_maxrss) * 1024 / 1e6;
    _exit(write(result[1], &peak, sizeof(peak)) == sizeof(peak) ? 0 : 3);
  }
  close(result[1]);
  double peak = 0;
  bool got = read(result[0], &peak, sizeof(peak)) == sizeof(peak);
  close(result[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!got || status != 0)
    exit(1); // the child has said why
  return peak;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  size_t half = values.size() / 2;
  return values.size() % 2 ? values[half]
                           : (values[half - 1] + values[half]) / 2;
}

/// Median over rounds of value / base.
double ratio(const std::vector<double> &values,
             const std::vector<double> &base) {
  std::vector<double> ratios;
  for (size_t i = 0; i != values.size(); ++i)
    ratios.push_back(values[i] / base[i]);
  return median(ratios);
}

void printTable(const Options &options, const std::vector<Run> &runs) {
  printf("%d prompt tokens, %d decoded, %d rounds, %d threads; medians in ms, "
         "in brackets the spread and the ratio to %s\n",
         options.tokens, options.decode, options.rounds, threads(),
         runs[0].name.c_str());
  auto line = [&](const char *what, auto member) {
    for (const Run &run : runs) {
      const std::vector<double> &values = member(run);
      auto [least, most] = std::minmax_element(values.begin(), values.end());
      printf("%-12s  %-16s %9.2f  [%.2f .. %.2f]  x%.3f\n", what,
             run.name.c_str(), median(values), *least, *most,
             ratio(values, member(runs[0])));
    }
  };
  line("prefill wall",
       [](const Run &run) -> auto & { return run.prefill.wall; });
  line("prefill cpu", [](const Run &run) -> auto & { return run.prefill.cpu; });
  line("decode wall", [](const Run &run) -> auto & { return run.decode.wall; });
  line("decode cpu", [](const Run &run) -> auto & { return run.decode.cpu; });
  for (const Run &run : runs)
    printf("%-12s  %-16s %9.1f  MB (arenas %.1f, packed weights %.1f)  x%.3f\n",
           "peak memory", run.name.c_str(), run.peak,
           static_cast<double>(run.session.arenaBytes()) / 1e6,
           static_cast<double>(run.session.packedBytes()) / 1e6,
           run.peak / runs[0].peak);
}

void printJson(const Options &options, const std::vector<Run> &runs) {
  nlohmann::ordered_json out{{"tokens", options.tokens},
                             {"decode", options.decode},
                             {"rounds", options.rounds},
                             {"threads", threads()}};
  for (const Run &run : runs) {
    auto series = [](const std::vector<double> &values,
                     const std::vector<double> &base) {
      return nlohmann::ordered_json{{"median_ms", median(values)},
                                    {"ratio", ratio(values, base)},
                                    {"rounds_ms", values}};
    };
    const Run &base = runs[0];
    out["runs"].push_back(
        {{"name", run.name},
         {"ranks", run.session.ranks()},
         {"prefill_wall", series(run.prefill.wall, base.prefill.wall)},
         {"prefill_cpu", series(run.prefill.cpu, base.prefill.cpu)},
         {"decode_wall", series(run.decode.wall, base.decode.wall)},
         {"decode_cpu", series(run.decode.cpu, base.decode.cpu)},
         {"peak_bytes", static_cast<uint64_t>(run.peak * 1e6)},
         {"peak_ratio", run.peak / base.peak},
         {"arena_bytes", run.session.arenaBytes()},
         {"packed_bytes", run.session.packedBytes()}});
  }
  printf("%s\n", out.dump(2).c_str());
}

} // namespace

int main(int argc, char **argv) {
  Options options = parse(argc, argv);
  std::vector<double> peaks;
  for (const auto &[name, path] : options.artifacts)
    peaks.push_back(peakMemory(options, path));
  setThreads(options.threads);
  Weights weights = take(Weights::open(options.model));
  std::vector<Run> runs;
  for (size_t i = 0; i != options.artifacts.size(); ++i) {
    const auto &[name, path] = options.artifacts[i];
    runs.push_back({name, open(options, path, weights), {}, {}, peaks[i], {}});
  }
  std::vector<int32_t> prompt =
      randomPrompt(options, runs[0].session.manifest().model.vocabulary);
  for (int i = 0; i <= options.rounds; ++i)
    for (Run &run : runs)
      round(options, prompt, run.session, i ? &run : nullptr);
  for (const Run &run : runs)
    if (run.picked != runs[0].picked)
      fprintf(stderr, "sharding-tax: warning: %s picks other tokens than %s\n",
              run.name.c_str(), runs[0].name.c_str());
  options.json ? printJson(options, runs) : printTable(options, runs);
  return 0;
}
