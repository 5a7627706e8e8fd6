//===- Explain.cpp - rshard explain ---------------------------------------===//

#include "Commands.h"
#include "Count.h"
#include "PlanPicture.h"
#include "SessionLength.h"
#include "Subject.h"
#include "rshard/tokenset/Prediction.h"
#include "rshard/tokenset/Views.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

using namespace rshard;
using namespace rshard::tool;
using namespace rshard::tokenset;
using nlohmann::json;

namespace {
struct Options {
  SubjectOptions subject{28, "tokens of the text that is looked at"};
  SessionLength session;
  bool oneBased = false, json = false;
};

/// What one kind of exchange moves in a step, over all layers and ranks.
struct Traffic {
  ExchangeKind kind;
  int64_t edges = 0, rows = 0, bytes = 0;
};
} // namespace

/// Edges between ranks, summed by kind of exchange.
static std::vector<Traffic> sum(const std::vector<Edge> &edges) {
  std::vector<Traffic> all;
  for (ExchangeKind kind : {ExchangeKind::Enter, ExchangeKind::Up,
                            ExchangeKind::Down, ExchangeKind::Leave}) {
    Traffic traffic{kind};
    for (const Edge &edge : edges)
      if (edge.exchange == kind && edge.source != edge.destination) {
        ++traffic.edges;
        traffic.rows += edge.rows;
        traffic.bytes += edge.bytes;
      }
    all.push_back(traffic);
  }
  return all;
}

static tokenset::Expected<std::vector<Traffic>>
predict(const Predictor &predictor, const Step &step) {
  auto edges = predictor.predict(step);
  if (!edges)
    return edges.error();
  return sum(*edges);
}

static void print(const std::string &title,
                  const std::vector<Traffic> &traffic) {
  llvm::outs() << title << "\n";
  for (const Traffic &one : traffic)
    llvm::outs() << llvm::formatv(
        "  {0,-6} {1,6} edges {2,12} rows {3,14} bytes\n",
        exchangeName(one.kind), one.edges, one.rows, one.bytes);
}

static json toJson(const std::vector<Traffic> &traffic) {
  json list = json::array();
  for (const Traffic &one : traffic)
    list.push_back({{"exchange", exchangeName(one.kind)},
                    {"edges", one.edges},
                    {"rows", one.rows},
                    {"bytes", one.bytes}});
  return list;
}

static json toJson(const Plan &plan, const std::vector<NodeView> &views) {
  json nodes = json::array();
  for (const NodeView &view : views)
    nodes.push_back({{"node", plan.nodeName(view.node)},
                     {"rank", plan.ranks[size_t(view.node)]},
                     {"visible", view.visible},
                     {"largest_gap", view.largestGap}});
  return nodes;
}

static json toJson(const std::vector<RankView> &views) {
  json ranks = json::array();
  for (const RankView &view : views)
    ranks.push_back({{"rank", view.rank},
                     {"nodes", view.nodes},
                     {"visible", view.visible},
                     {"largest_gap", view.largestGap}});
  return ranks;
}

static void printPlan(const Plan &plan, int64_t length, int64_t base) {
  llvm::outs() << "client, " << plan.comps() << " CompNodes and "
               << plan.queryShards() << "x" << plan.keyShards()
               << " AttnNodes: " << count(plan.nodes(), "node") << " on "
               << count(plan.rankCount(), "rank") << "\n";
  if (plan.clientFirst || plan.clientLast)
    llvm::outs() << "the client runs the first " << plan.clientFirst
                 << " and the last " << plan.clientLast << " layers\n";
  if (plan.types != RowTypes())
    llvm::outs() << "activations are "
                 << elementTypeName(plan.types.activations) << ", partials "
                 << elementTypeName(plan.types.partials) << "\n";
  // Lines as in the figure, as long as they fit a terminal.
  if (plan.comps() <= 8 && plan.queryShards() <= 8 && plan.keyShards() <= 8) {
    llvm::outs() << listSets(plan.R, base) << "\n";
    if (plan.S == plan.T)
      llvm::outs() << "S = " << listSets(plan.T, base) << "\n";
    else
      llvm::outs() << listSets(plan.S, base) << "\n"
                   << listSets(plan.T, base) << "\n";
  }
  llvm::outs() << "\n"
               << tabulatePlan(plan, base) << "\n"
               << drawPlan(plan, std::min<int64_t>(length, 64), base) << "\n";
}

static ExitStatus run(const Options &options) {
  SubjectOptions::Subject subject;
  if (ExitStatus status = options.subject.load(subject); status != Success)
    return status;
  if (options.session.given() && !subject.model)
    return refuse("--capacity and --max-new-tokens: they say how many keys are "
                  "sent, which is known with a model",
                  BadUsage);
  if (options.session.capacity > subject.limit())
    return refuse("--capacity " + std::to_string(options.session.capacity) +
                  ": model and plan have " +
                  count(subject.limit(), "position"));
  const Plan &plan = subject.plan;
  int64_t length = subject.length;
  auto views = nodeViews(plan, length);
  auto ranks = rankViews(plan, length);
  auto summary = summarizeViews(plan, length);
  if (!views || !ranks || !summary)
    return refuse((!views   ? views.error()
                   : !ranks ? ranks.error()
                            : summary.error())
                      .message);

  std::vector<Traffic> prompt, token;
  if (subject.model) {
    bool bidirectional = false;
    for (const Mask &mask : subject.shardedMasks())
      bidirectional |= mask.kind == MaskKind::Full;
    int64_t capacity =
        std::min(options.session.positions(length), subject.limit());
    auto predictor =
        Predictor::create(subject.plan, subject.shardedMasks(), capacity,
                          rowBytes(subject.model->widths, subject.plan.types));
    if (!predictor)
      return refuse(predictor.error().message);
    auto first = predict(*predictor, {0, length, 1});
    if (!first)
      return refuse(first.error().message);
    prompt = *first;
    if (!bidirectional && length < capacity) {
      auto next = predict(*predictor, {length, 1, 1});
      if (!next)
        return refuse(next.error().message);
      token = *next;
    }
  }

  if (options.json) {
    json out = {{"plan", json::parse(tokenset::printPlan(plan))},
                {"length", length},
                {"nodes", toJson(plan, *views)},
                {"ranks", toJson(*ranks)},
                {"summary", describe(plan, *summary)}};
    if (!prompt.empty())
      out["bytes"]["prompt"] = toJson(prompt);
    if (!token.empty())
      out["bytes"]["token"] = toJson(token);
    llvm::outs() << out.dump() << "\n";
    return Success;
  }
  ::printPlan(plan, length, options.oneBased ? 1 : 0);
  if (!prompt.empty())
    print(llvm::formatv("sent between ranks for a prompt of {0} tokens, all "
                        "layers",
                        length),
          prompt);
  if (!token.empty())
    print("sent for the next token", token);
  llvm::outs() << describe(plan, *summary) << "\n";
  return Success;
}

void rshard::tool::addExplain(CLI::App &app, ExitStatus &status) {
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand(
      "explain", "say who holds which tokens, and what it costs");
  options->subject.add(*command);
  options->session.add(*command);
  command->add_flag("--one-based", options->oneBased,
                    "count positions from 1, as figures do");
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer("\nExamples:\n"
                  "  rshard explain                       the figure's plan\n"
                  "  rshard explain plan.json --length 64\n"
                  "  rshard explain model.rshard\n"
                  "  rshard explain models/llama --comp 8 --attn 8x8\n");
  command->callback([options, &status] { status = run(*options); });
}
