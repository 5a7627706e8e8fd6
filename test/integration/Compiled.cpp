//===- Compiled.cpp - models compiled in process, once per plan -----------===//

#include "Compiled.h"
#include "SanitizedBuild.h"
#include "mlir/IR/MLIRContext.h"
#include "rshard/Driver/DiagnosticPrinter.h"
#include "rshard/Driver/Program.h"
#include "rshard/Import/Import.h"
#include "rshard/Register.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>

namespace rshard::integration {
using tokenset::Plan;

[[noreturn]] static void fail(const std::string &message) {
  std::cerr << message << "\n";
  std::exit(1);
}

template <typename T> static T take(tokenset::Expected<T> value) {
  if (!value)
    fail(value.error().message);
  return std::move(*value);
}

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

const std::vector<NamedPlan> &plans() {
  auto plan = [](const char *name, int64_t comp, tokenset::GridShape grid,
                 int64_t cluster, int64_t period) {
    tokenset::ClusterRule rule;
    rule.comp = comp;
    rule.attn = grid;
    rule.cluster = cluster;
    rule.period = period;
    return NamedPlan{name, rule};
  };
  static const std::vector<NamedPlan> all = {
      plan("unsharded", 1, {1, 1}, 1, 1), plan("figure", 4, {4, 4}, 2, 7),
      plan("square", 4, {2, 2}, 2, 7),    plan("tall", 3, {3, 2}, 1, 3),
      plan("wide", 8, {1, 5}, 3, 24),
  };
  return all;
}

Plan makePlan(const std::string &name, int32_t clientFirst,
              int32_t clientLast) {
  for (const NamedPlan &plan : plans())
    if (plan.name == name) {
      tokenset::ClusterRule rule = plan.rule;
      rule.clientFirst = clientFirst;
      rule.clientLast = clientLast;
      return take(tokenset::makePlan(rule));
    }
  fail("no plan " + name);
}

std::vector<Subject> subjects() {
  std::vector<Subject> all;
  for (const Model &one : models()) {
    int32_t layers = Reference(one).layers();
    for (const NamedPlan &plan : plans())
      for (auto [first, last] : {std::pair(0, 0), {1, 0}, {1, 1}})
        if (first + last < layers)
          all.push_back({one.name, plan.name, first, last});
  }
  return all;
}

std::string nameOf(const Subject &subject) {
  return identifier(subject.model + " " + subject.plan + " " +
                    std::to_string(subject.clientFirst) + " " +
                    std::to_string(subject.clientLast));
}

void PrintTo(const Subject &subject, std::ostream *os) {
  *os << nameOf(subject);
}

Plan planOf(const Subject &subject) {
  return makePlan(subject.plan, subject.clientFirst, subject.clientLast);
}

Plan placeTogether(Plan plan) {
  plan.ranks.assign(plan.nodes(), 0);
  return plan;
}

Plan placeRandomly(Plan plan, uint32_t seed) {
  std::mt19937 random(seed); // the same everywhere, unlike distributions
  int32_t wanted = 2 + static_cast<int32_t>(random() % plan.nodes());
  std::map<int32_t, int32_t> dense;
  for (int32_t &rank : plan.ranks) {
    int32_t drawn = static_cast<int32_t>(random() % wanted);
    rank = dense.try_emplace(drawn, static_cast<int32_t>(dense.size()))
               .first->second;
  }
  return plan;
}

std::vector<Plan> placements(const Plan &plan, int count, uint32_t seed) {
  std::vector<Plan> all = {plan, placeTogether(plan)};
  tokenset::placeApart(all[0]);
  for (int i = 0; i != count; ++i)
    all.push_back(placeRandomly(plan, seed * 1000 + i));
  return all;
}

std::string describePlacement(const Plan &plan) {
  std::string text = std::to_string(plan.rankCount()) + " ranks:";
  for (int32_t rank : plan.ranks)
    text += " " + std::to_string(rank);
  return text;
}

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

Compilation compile(const std::filesystem::path &directory, const Plan &plan,
                    const std::filesystem::path &file) {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  Compilation result;
  llvm::raw_string_ostream diagnostics(result.diagnostics);
  DiagnosticPrinter printer(&context, diagnostics);
  mlir::FailureOr<ImportedModel> imported =
      loadModel(&context, directory.string());
  if (mlir::failed(imported))
    return result;
  mlir::ModuleOp module = *imported->module;
  ProgramOptions options;
  options.phases.plan = plan;
  options.addressSanitizer = test::isSanitized();
  mlir::FailureOr<Program> program =
      compileProgram(module, Phase::Model, options);
  if (mlir::succeeded(program) &&
      mlir::succeeded(writeProgram(&context, *program, file.string())))
    result.artifact = file;
  return result;
}

std::filesystem::path scratchDirectory() {
  struct Directory {
    Directory() {
      std::string name =
          (std::filesystem::temp_directory_path() / "rshard-XXXXXX").string();
      if (!::mkdtemp(name.data()))
        fail("cannot create a directory");
      path = name;
    }
    ~Directory() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
  };
  static Directory root;
  static int count = 0;
  std::filesystem::path path = root.path / std::to_string(count++);
  std::filesystem::create_directory(path);
  return path;
}

/// The artifact with the plan's placement instead of its own.
static void writePlaced(const runtime::Artifact &artifact, const Plan &plan,
                        const std::filesystem::path &file) {
  runtime::Manifest manifest = artifact.manifest();
  manifest.plan = tokenset::printPlan(plan);
  auto written =
      runtime::writeArtifact(file, manifest, artifact.host(), artifact.ir());
  if (!written)
    fail(written.error().message);
}

const runtime::Artifact &artifactOf(const Model &model, const Plan &plan) {
  static std::map<std::string, runtime::Artifact> all;
  std::string key = model.name + " " + tokenset::printPlan(plan);
  auto it = all.find(key);
  if (it == all.end()) {
    std::filesystem::path file = scratchDirectory() / "model.rshard";
    Plan apart = plan;
    tokenset::placeApart(apart);
    if (plan == apart) {
      Compilation compiled = compile(model.directory, plan, file);
      if (compiled.artifact.empty())
        fail(model.name + ": " + compiled.diagnostics);
    } else {
      writePlaced(artifactOf(model, apart), plan, file);
    }
    it = all.emplace(key, take(runtime::Artifact::open(file))).first;
  }
  return it->second;
}

const runtime::Weights &weightsOf(const Model &model) {
  static std::map<std::string, runtime::Weights> all;
  auto it = all.find(model.name);
  if (it == all.end())
    it = all.emplace(model.name, take(runtime::Weights::open(model.directory)))
             .first;
  return it->second;
}

runtime::Session createSession(const Model &model, const Plan &plan,
                               runtime::SessionOptions options) {
  if (options.capacity == 0)
    options.capacity = 256;
  options.allRows = true;
  return take(runtime::Session::create(artifactOf(model, plan),
                                       weightsOf(model), std::move(options)));
}

} // namespace rshard::integration
