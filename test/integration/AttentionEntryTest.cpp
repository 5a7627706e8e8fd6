//===- AttentionEntryTest.cpp - programs that take q, k and v rows --------===//
//
// Attention-only programs under every plan, in random steps, against the
// definition in f64 and against the interpreter's nodes.
//
//===----------------------------------------------------------------------===//

#include "Compiled.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "rshard/Interpreter/Partitioned.h"
#include "rshard/Register.h"
#include "rshard/runtime/rshard.h"
#include "rshard/tokenset/Prediction.h"
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <random>

using namespace rshard;
using namespace rshard::integration;
using runtime::Artifact;
using runtime::Session;
using tokenset::Mask;

namespace {

struct Attention {
  std::string name;
  int64_t heads, keyHeads, headSize;
  Mask mask;
  std::string maskText;

  int64_t group() const { return heads / keyHeads; }
  int64_t all() const { return heads + 2 * keyHeads; }
  double scale() const { return 0.25; }
};

const std::vector<Attention> &attentions() {
  static const std::vector<Attention> all = {
      {"causal", 4, 2, 16, Mask::causal(), "<causal>"},
      {"window", 6, 2, 8, Mask::windowed(5), "<window 5>"},
      {"full", 3, 1, 20, Mask::full(), "<full>"},
      {"ungrouped", 2, 2, 32, Mask::causal(), "<causal>"},
  };
  return all;
}

std::string
replace(std::string text,
        const std::vector<std::pair<std::string, std::string>> &by) {
  for (const auto &[name, value] : by)
    for (size_t at; (at = text.find(name)) != std::string::npos;)
      text.replace(at, name.size(), value);
  return text;
}

std::string moduleOf(const Attention &a) {
  auto rows = [&](int64_t heads) {
    return "tensor<?x" + std::to_string(heads) + "x" +
           std::to_string(a.headSize) + "xf32>";
  };
  auto number = [](int64_t value) { return std::to_string(value); };
  return replace(
      R"(module attributes {rshard.model = #rshard.model<architecture = "attention", positions = 64, end = [], hash = "">} {
  func.func private @attend(%layer: index, %rows: ALL, %positions: tensor<?xi32>) -> QUERY {
    %q = rshard.heads %rows [0, $q) : ALL -> QUERY
    %k = rshard.heads %rows [$q, $k) : ALL -> KEY
    %v = rshard.heads %rows [$k, $v) : ALL -> KEY
    %o = rshard.attention %q, %k, %v mask MASK scale 0.25 : QUERY, KEY
    return %o : QUERY
  }
  func.func @main(%rows: ALL, %positions: tensor<?xi32>) -> QUERY {
    %o = rshard.layers [@attend] [0] (%rows, %positions) : ALL, tensor<?xi32> -> QUERY
    return %o : QUERY
  }
}
)",
      {{"ALL", rows(a.all())},
       {"QUERY", rows(a.heads)},
       {"KEY", rows(a.keyHeads)},
       {"MASK", a.maskText},
       {"$q", number(a.heads)},
       {"$k", number(a.heads + a.keyHeads)},
       {"$v", number(a.all())}});
}

Artifact compileAttention(const Attention &attention,
                          const tokenset::Plan &plan) {
  std::filesystem::path directory = scratchDirectory();
  std::ofstream(directory / "attention.mlir") << moduleOf(attention);
  Compilation compiled = compile(directory / "attention.mlir", plan,
                                 directory / "attention.rshard");
  EXPECT_EQ(compiled.diagnostics, "");
  auto artifact = Artifact::open(compiled.artifact);
  if (!artifact)
    ADD_FAILURE() << artifact.error().message;
  return std::move(*artifact);
}

/// The same program with its nodes on other ranks.
Artifact placed(const Artifact &artifact, const tokenset::Plan &plan) {
  runtime::Manifest manifest = artifact.manifest();
  manifest.plan = tokenset::printPlan(plan);
  std::filesystem::path file = scratchDirectory() / "placed.rshard";
  auto written =
      runtime::writeArtifact(file, manifest, artifact.host(), artifact.ir());
  EXPECT_TRUE(written) << written.error().message;
  return std::move(*Artifact::open(file));
}

/// The rows of a text.
struct Text {
  std::vector<float> query, key, value;

  Text(const Attention &a, int64_t positions, uint32_t seed) {
    std::mt19937 random(seed);
    auto fill = [&](std::vector<float> &rows, int64_t heads) {
      for (int64_t i = 0; i != positions * heads * a.headSize; ++i)
        rows.push_back(static_cast<float>(random() % 2001) / 500 - 2);
    };
    fill(query, a.heads);
    fill(key, a.keyHeads);
    fill(value, a.keyHeads);
  }
  runtime::AttentionRows part(const Attention &a, int64_t begin,
                              int64_t rows) const {
    int64_t q = begin * a.heads * a.headSize,
            k = begin * a.keyHeads * a.headSize;
    return {query.data() + q, key.data() + k, value.data() + k, rows};
  }
};

/// The attention of positions [0, positions), by its definition.
std::vector<float> expected(const Attention &a, const Text &text,
                            int64_t positions) {
  std::vector<float> out;
  for (int64_t p = 0; p != positions; ++p)
    for (int64_t h = 0; h != a.heads; ++h) {
      auto rowOf = [&](const std::vector<float> &rows, int64_t position) {
        return rows.data() +
               (position * a.keyHeads + h / a.group()) * a.headSize;
      };
      const float *q = text.query.data() + (p * a.heads + h) * a.headSize;
      std::vector<double> sums(static_cast<size_t>(a.headSize));
      double total = 0;
      for (int64_t s = 0; s != positions; ++s) {
        if (!a.mask.visible(p, s))
          continue;
        double score = 0;
        for (int64_t d = 0; d != a.headSize; ++d)
          score += double(q[d]) * rowOf(text.key, s)[d];
        double weight = std::exp(score * a.scale());
        total += weight;
        for (int64_t d = 0; d != a.headSize; ++d)
          sums[static_cast<size_t>(d)] += weight * rowOf(text.value, s)[d];
      }
      for (double sum : sums)
        out.push_back(static_cast<float>(sum / total));
    }
  return out;
}

/// Random steps that cover [0, positions); a full mask takes one.
std::vector<int64_t> steps(const Attention &a, int64_t positions,
                           std::mt19937 &random) {
  std::vector<int64_t> sizes;
  for (int64_t left = positions; left != 0; left -= sizes.back())
    sizes.push_back(a.mask == Mask::full() ? left
                    : sizes.size() > 2
                        ? 1 // decoding
                        : 1 + static_cast<int64_t>(random()) % left);
  return sizes;
}

using Outputs = std::vector<float>;

Outputs attendInSteps(Session &session, const Attention &a, const Text &text,
                      const std::vector<int64_t> &sizes) {
  Outputs all;
  int64_t position = 0;
  for (int64_t rows : sizes) {
    auto out = session.attend(text.part(a, position, rows), position);
    if (!out) {
      ADD_FAILURE() << out.error().message;
      return all;
    }
    EXPECT_EQ(out->rows, rows);
    EXPECT_EQ(out->width, a.heads * a.headSize);
    all.insert(all.end(), out->data, out->data + out->rows * out->width);
    position += rows;
  }
  return all;
}

/// The same on the nodes of the interpreter.
Outputs interpretInSteps(const Artifact &artifact, const Attention &a,
                         const Text &text, const std::vector<int64_t> &sizes,
                         int64_t capacity) {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  auto module =
      mlir::parseSourceString<mlir::ModuleOp>(artifact.ir(), &context);
  interpreter::RandomWeights weights(1);
  auto nodes =
      interpreter::Partitioned<double>::create(*module, weights, capacity);
  if (mlir::failed(nodes)) {
    ADD_FAILURE() << "no nodes";
    return {};
  }
  Outputs all;
  for (int64_t count : sizes) {
    interpreter::Tensor<double> rows({count, a.all(), a.headSize});
    runtime::AttentionRows part = text.part(a, nodes->length(), count);
    for (int64_t i = 0; i != count; ++i) {
      double *to = rows.row(i);
      for (auto [from, heads] : {std::pair(part.query, a.heads),
                                 {part.key, a.keyHeads},
                                 {part.value, a.keyHeads}}) {
        int64_t width = heads * a.headSize;
        to = std::copy_n(static_cast<const float *>(from) + i * width, width,
                         to);
      }
    }
    auto out = nodes->step(rows, nodes->length(), count);
    if (mlir::failed(out)) {
      ADD_FAILURE() << "the interpreter's step failed";
      return all;
    }
    all.insert(all.end(), out->values.begin(), out->values.end());
  }
  return all;
}

/// C7: what the session sent, as the plan's sets predict it.
void expectPredictedBytes(const Session &session, const Attention &a,
                          const tokenset::Plan &plan,
                          const std::vector<int64_t> &sizes) {
  tokenset::RowWidths widths{a.all() * a.headSize, a.heads * a.headSize,
                             a.heads * a.headSize, a.keyHeads * a.headSize,
                             a.heads};
  auto predictor = tokenset::Predictor::create(
      plan, {a.mask}, session.capacity(), rowBytes(widths, plan.types));
  ASSERT_TRUE(predictor) << predictor.error().message;
  int64_t predicted = 0, position = 0;
  for (int64_t rows : sizes) {
    auto edges = predictor->predict({position, rows, rows});
    ASSERT_TRUE(edges) << edges.error().message;
    predicted += totalBytes(*edges);
    position += rows;
  }
  uint64_t sent = 0, received = 0;
  for (const runtime::EdgeCount &edge : session.counts()) {
    sent += edge.sentBytes;
    received += edge.receivedBytes;
  }
  EXPECT_EQ(sent, static_cast<uint64_t>(predicted));
  EXPECT_EQ(received, static_cast<uint64_t>(predicted));
}

class AttentionEntryPlans
    : public testing::TestWithParam<std::tuple<Attention, NamedPlan>> {};

std::string
nameOfCase(const testing::TestParamInfo<AttentionEntryPlans::ParamType> &info) {
  const auto &[attention, plan] = info.param;
  return attention.name + "_" + plan.name;
}

Session create(const Artifact &artifact, runtime::SessionOptions options) {
  auto session = Session::create(artifact, std::move(options));
  if (!session)
    ADD_FAILURE() << session.error().message;
  return std::move(*session);
}

template <typename T>
std::string messageOf(const tokenset::Expected<T> &value) {
  return value ? "no error" : value.error().message;
}

/// The causal program under the figure's plan.
const Artifact &figure() {
  static const Artifact artifact =
      compileAttention(attentions().front(), makePlan("figure"));
  return artifact;
}

} // namespace

TEST_P(AttentionEntryPlans, IsExact) {
  const auto &[a, named] = GetParam();
  constexpr int64_t capacity = 40;
  std::mt19937 random(7);
  Artifact compiled = compileAttention(a, makePlan(named.name));
  for (const tokenset::Plan &plan : placements(makePlan(named.name), 1, 3)) {
    SCOPED_TRACE(describePlacement(plan));
    Artifact artifact = placed(compiled, plan);
    Text text(a, capacity, static_cast<uint32_t>(random()));
    for (int64_t positions : {int64_t(1), int64_t(13), capacity}) {
      Session session =
          create(artifact, {.capacity = capacity, .poison = true});
      std::vector<int64_t> sizes = steps(a, positions, random);
      Outputs actual = attendInSteps(session, a, text, sizes);
      EXPECT_EQ(session.length(), positions);
      EXPECT_LT(relativeError(actual, expected(a, text, positions)), kBound);
      EXPECT_LT(relativeError(actual, interpretInSteps(artifact, a, text, sizes,
                                                       capacity)),
                kBound);
      expectPredictedBytes(session, a, plan, sizes);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, AttentionEntryPlans,
                         testing::Combine(testing::ValuesIn(attentions()),
                                          testing::ValuesIn(plans())),
                         nameOfCase);

TEST(AttentionEntry, LongStepsAreCut) {
  const Attention &a = attentions().front();
  Text text(a, 40, 1);
  Session whole = create(figure(), {.capacity = 40}),
          cut = create(figure(), {.capacity = 40, .largestStep = 7});
  EXPECT_LT(relativeError(attendInSteps(cut, a, text, {40}),
                          attendInSteps(whole, a, text, {40})),
            kBound);
}

TEST(AttentionEntry, GoesBack) {
  const Attention &a = attentions().front();
  Text text(a, 20, 1), other(a, 20, 2);
  Session session = create(figure(), {.capacity = 20});
  ASSERT_TRUE(session.attend(other.part(a, 0, 20), 0));
  ASSERT_TRUE(session.attend(text.part(a, 0, 12), 0));
  EXPECT_EQ(session.length(), 12);
  auto rest = session.attend(text.part(a, 12, 8), 12);
  ASSERT_TRUE(rest);
  Outputs all = expected(a, text, 20);
  EXPECT_LT(relativeError({rest->data, size_t(8 * rest->width)},
                          std::span(all).subspan(size_t(12 * rest->width))),
            kBound);
}

TEST(AttentionEntry, Refusals) {
  const Attention &a = attentions().front();
  Text text(a, 20, 1);
  runtime::AttentionRows rows = text.part(a, 0, 20);
  Session session = create(figure(), {.capacity = 10});
  EXPECT_EQ(messageOf(session.step(std::vector<int32_t>{1}, 0)),
            "an attention-only program takes rows of queries, keys and values, "
            "no tokens: attend(), not step()");
  EXPECT_EQ(messageOf(session.attend(rows, 0)),
            "20 rows from position 0 are beyond the capacity of 10");
  rows.rows = 1;
  EXPECT_EQ(messageOf(session.attend(rows, 1)),
            "step at position 1, the session holds 0 positions");
  rows.rows = 0;
  EXPECT_EQ(messageOf(session.attend(rows, 0)),
            "a step needs at least one row, not 0");
  rows.rows = -1;
  EXPECT_EQ(messageOf(session.attend(rows, 0)),
            "a step needs at least one row, not -1");
  for (auto [name, member] :
       {std::pair("query", &runtime::AttentionRows::query),
        {"key", &runtime::AttentionRows::key},
        {"value", &runtime::AttentionRows::value}}) {
    runtime::AttentionRows broken = text.part(a, 0, 5);
    broken.*member = nullptr;
    EXPECT_EQ(messageOf(session.attend(broken, 0)),
              std::string(name) + " is NULL");
  }
  EXPECT_EQ(session.length(), 0);
  Session bidirectional =
      create(compileAttention(attentions()[2], makePlan("tall")), {});
  Text three(attentions()[2], 20, 1);
  EXPECT_TRUE(bidirectional.attend(three.part(attentions()[2], 0, 10), 0));
  EXPECT_EQ(
      messageOf(bidirectional.attend(three.part(attentions()[2], 10, 1), 10)),
      "a bidirectional model takes one step from position 0, not from 10");
  Session tokens = createSession(model("llama-tiny"), makePlan("figure"));
  EXPECT_EQ(messageOf(tokens.attend(text.part(a, 0, 5), 0)),
            "the program takes tokens, no rows of queries, keys and values: "
            "step(), not attend()");
  const Artifact &llama = artifactOf(model("llama-tiny"), makePlan("figure"));
  EXPECT_EQ(messageOf(Session::create(llama)),
            llama.path().string() + ": the program takes " +
                std::to_string(llama.manifest().weightSlots()) +
                " weights, none were given");
}

TEST(AttentionEntry, FromC) {
  const Attention &a = attentions().front();
  Text text(a, 20, 1);
  char *error = nullptr;
  rshard_artifact *artifact =
      rshard_artifact_open(figure().path().c_str(), &error);
  ASSERT_NE(artifact, nullptr) << error;
  rshard_model_info info;
  ASSERT_EQ(rshard_artifact_model(artifact, &info, &error), 0) << error;
  EXPECT_EQ(info.attention_only, 1);
  EXPECT_EQ(info.vocabulary, 0);
  EXPECT_EQ(info.leave_width, a.heads * a.headSize);
  EXPECT_EQ(info.heads, a.heads);
  EXPECT_EQ(info.key_heads, a.keyHeads);
  EXPECT_EQ(info.head_size, a.headSize);
  EXPECT_STREQ(info.row_type, "f32");
  rshard_session_options options = {20, 0, 0, 0};
  rshard_session *session =
      rshard_session_create(artifact, nullptr, &options, &error);
  ASSERT_NE(session, nullptr) << error;
  rshard_artifact_free(artifact);
  EXPECT_EQ(rshard_session_width(session), a.heads * a.headSize);
  Outputs all = expected(a, text, 20);
  const float *output = nullptr;
  for (auto [position, rows] : {std::pair<int64_t, int64_t>(0, 19), {19, 1}}) {
    runtime::AttentionRows part = text.part(a, position, rows);
    ASSERT_EQ(rshard_session_attend(session, part.query, part.key, part.value,
                                    rows, position, &output, &error),
              rows)
        << error;
    auto width = static_cast<size_t>(info.leave_width);
    EXPECT_LT(relativeError(
                  {output, static_cast<size_t>(rows) * width},
                  std::span(all).subspan(static_cast<size_t>(position) * width,
                                         static_cast<size_t>(rows) * width)),
              kBound);
  }
  auto refused = [&](const void *query, const float **to) {
    char *message = nullptr;
    EXPECT_EQ(rshard_session_attend(session, query, text.key.data(),
                                    text.value.data(), 1, 0, to, &message),
              -1);
    std::string out = message;
    rshard_free_error(message);
    return out;
  };
  EXPECT_EQ(refused(nullptr, &output), "query is NULL");
  EXPECT_EQ(refused(text.query.data(), nullptr), "output is NULL");
  EXPECT_EQ(rshard_session_attend(nullptr, nullptr, nullptr, nullptr, 1, 0,
                                  &output, nullptr),
            -1);
  rshard_session_free(session);
}
