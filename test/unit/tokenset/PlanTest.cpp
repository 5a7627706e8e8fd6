#include "RandomPlans.h"
#include "rshard/tokenset/ClusterRule.h"
#include "rshard/tokenset/OpenTypes.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace rshard::tokenset;

namespace {

/// The 1-based positions up to 14, as the figure writes them.
std::string listOf(const TokenSet &set) {
  std::string text;
  set.forEachRun(0, 14, [&](Position begin, Position end) {
    for (Position p = begin; p < end; ++p)
      text += (text.empty() ? "" : ",") + std::to_string(p + 1);
  });
  return text;
}

Plan made(const ClusterRule &rule) {
  auto plan = makePlan(rule);
  EXPECT_TRUE(bool(plan)) << (plan ? "" : plan.error().message);
  return plan ? *plan : Plan();
}

std::string refused(const ClusterRule &rule) {
  auto plan = makePlan(rule);
  return plan ? "accepted" : plan.error().message;
}

TEST(ClusterRule, figure) {
  Plan plan = made({});
  ASSERT_EQ(plan.comps(), 4);
  ASSERT_EQ(plan.queryShards(), 4);
  EXPECT_EQ(plan.nodes(), 21);
  EXPECT_EQ(plan.rankCount(), 21);
  const char *R[] = {"1,2,8,9", "3,4,10,11", "5,6,12,13", "7,14"};
  const char *S[] = {"1,3,8,10", "2,4,9,11", "5,7,12,14", "6,13"};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(listOf(plan.R[i]), R[i]);
    EXPECT_EQ(listOf(plan.S[i]), S[i]);
  }
  EXPECT_EQ(plan.S, plan.T);
  EXPECT_EQ(plan.nodeName(0), "client");
  EXPECT_EQ(plan.nodeName(plan.compNode(2)), "comp(2)");
  EXPECT_EQ(plan.nodeName(plan.attnNode(3, 1)), "attn(3,1)");
}

TEST(ClusterRule, gridsThatTheRuleYields) {
  // The published table: c, P, m -> alpha, beta.
  struct Row {
    int64_t cluster, period, group, comp;
    int32_t beta;
  };
  for (Row row : {Row{2, 7, 2, 4, 4}, Row{2, 8, 2, 4, 4}, Row{1, 8, 1, 8, 8},
                  Row{2, 16, 2, 8, 8}, Row{4, 32, 4, 8, 8},
                  Row{4, 32, 2, 8, 16}, Row{8, 64, 2, 8, 32}}) {
    ClusterRule rule;
    rule.comp = row.comp;
    rule.cluster = row.cluster;
    rule.period = row.period;
    rule.group = row.group;
    EXPECT_EQ(made(rule).queryShards(), row.beta);
  }
  // A short last cluster alone in its group: no empty grid row.
  ClusterRule rule;
  rule.comp = 3;
  rule.cluster = 2;
  rule.period = 5;
  EXPECT_EQ(made(rule).queryShards(), 3);
}

TEST(ClusterRule, defaults) {
  ClusterRule rule;
  rule.comp = 3;
  Plan plan = made(rule);
  EXPECT_EQ(plan.R[0].print(), "period 3: [0,1)");
  EXPECT_EQ(plan.queryShards(), 3);
  rule.cluster = 2;
  EXPECT_EQ(made(rule).R[2].print(), "period 6: [4,6)");
}

TEST(ClusterRule, otherShapesAreDealtRoundRobin) {
  ClusterRule rule;
  rule.comp = 8;
  rule.cluster = 3;
  rule.period = 24;
  rule.attn = GridShape{1, 5};
  Plan plan = made(rule);
  EXPECT_EQ(plan.S[0], TokenSet::all());
  EXPECT_EQ(plan.T[3].print(), "period 5: [3,4)");
  EXPECT_EQ(plan.nodes(), 1 + 8 + 5);
}

TEST(ClusterRule, partialsOfOneKeyShardAreActivations) {
  ClusterRule rule;
  rule.activations = "bf16";
  auto types = [&](int64_t queries, int64_t keys) {
    rule.attn = GridShape{queries, keys};
    return made(rule).types;
  };
  RowTypes wide{ElementType::BF16, ElementType::F32},
      narrow{ElementType::BF16, ElementType::BF16};
  EXPECT_EQ(types(1, 1), narrow);
  EXPECT_EQ(types(4, 1), narrow);
  EXPECT_EQ(types(1, 2), wide);
  rule.partials = "f32";
  EXPECT_EQ(types(1, 1), wide);
  rule.partials = "bf16";
  EXPECT_EQ(types(1, 2), narrow);
}

TEST(ClusterRule, refusals) {
  ClusterRule rule;
  rule.period = 9;
  rule.cluster = 2;
  EXPECT_EQ(refused(rule), "C1: --period 9: --comp 4 --cluster 2 require a "
                           "period from 7 to 8");
  rule.period = 6;
  EXPECT_EQ(refused(rule), "C1: --period 6: --comp 4 --cluster 2 require a "
                           "period from 7 to 8");
  rule = {};
  rule.comp = 0;
  EXPECT_EQ(refused(rule), "--comp 0: it must be from 1 to 16777216");
  rule = {};
  rule.ranks = 22;
  EXPECT_EQ(refused(rule),
            "--ranks 22: the plan has 21 nodes, so 1 to 21 ranks");
  rule = {};
  rule.attn = GridShape{1 << 12, 1 << 12};
  EXPECT_EQ(refused(rule), "--attn 4096x4096: the grid is too large");
  rule = {};
  rule.clientFirst = -1;
  EXPECT_EQ(refused(rule), "client layers -1,0 must not be negative");
}

TEST(ClusterRule, gridShapes) {
  EXPECT_EQ(*parseGridShape("3x2"), (GridShape{3, 2}));
  for (const char *text : {"", "3", "3x", "x2", "3x2x1", "0x2", "3x-1", "3X2"})
    EXPECT_FALSE(parseGridShape(text)) << text;
}

TEST(Plan, placement) {
  ClusterRule rule;
  rule.ranks = 1;
  EXPECT_EQ(made(rule).rankCount(), 1);
  rule.ranks = 5;
  Plan plan = made(rule);
  EXPECT_EQ(plan.rankCount(), 5);
  EXPECT_TRUE(bool(validate(plan)));
  plan.ranks[2] = 21;
  EXPECT_EQ(validate(plan).error().message, "rank of node 2: 21 vs 0 to 20");
  plan.ranks[2] = 2;
  plan.ranks[3] = 7;
  EXPECT_EQ(validate(plan).error().message,
            "ranks: no node on rank 5 vs ranks 0 to 7 without a hole");
  plan.ranks.pop_back();
  EXPECT_EQ(validate(plan).error().message,
            "C2: ranks are given for 20 nodes, the plan has 21");
  plan.S = *Partition::roundRobin("S", 1 << 10);
  plan.T = *Partition::roundRobin("T", 1 << 10);
  EXPECT_EQ(validate(plan).error().message,
            "the plan has 1048581 nodes, the limit is 1048576");
}

TEST(Plan, jsonRoundTrip) {
  ClusterRule rule;
  rule.ranks = 3;
  rule.clientFirst = 1;
  rule.attn = GridShape{3, 2};
  Plan plan = made(rule);
  auto read = parsePlan(printPlan(plan));
  ASSERT_TRUE(bool(read)) << read.error().message;
  EXPECT_EQ(*read, plan);
  EXPECT_EQ(printPlan(*read), printPlan(plan));
}

RC_GTEST_PROP(Plan, jsonOfRandomPlans, ()) {
  Plan plan = test::drawPlan();
  auto read = parsePlan(printPlan(plan));
  RC_ASSERT(bool(read));
  RC_ASSERT(*read == plan);
  RC_ASSERT(printPlan(*read) == printPlan(plan));
}

TEST(Plan, jsonOfTypes) {
  Plan plan = made({});
  std::string before = printPlan(plan);
  const std::string line = "  \"types\": {\"activations\":\"f32\","
                           "\"partials\":\"f32\"},\n";
  size_t at = before.find(line);
  ASSERT_NE(at, std::string::npos) << before;
  // What is printed leaves nothing open.
  auto again = parsePlan(before, {"bf16", "bf16"});
  ASSERT_TRUE(bool(again)) << again.error().message;
  EXPECT_EQ(*again, plan);
  plan.types.activations = ElementType::BF16;
  std::string text = printPlan(plan);
  EXPECT_NE(text.find("\n  \"types\": {\"activations\":\"bf16\","
                      "\"partials\":\"f32\"},\n"),
            std::string::npos)
      << text;
  // Either may be missing, and equal plans print equal text.
  auto read = [&](const char *types) {
    std::string file = before;
    file.erase(at, line.size());
    file.insert(2, std::string("  \"types\": ") + types + ",\n");
    auto plan = parsePlan(file);
    EXPECT_TRUE(bool(plan)) << plan.error().message;
    return plan ? printPlan(*plan) : "";
  };
  EXPECT_EQ(read("{\"activations\": \"bf16\"}"), text);
  EXPECT_EQ(read("{\"partials\": \"f32\"}"), before);
  EXPECT_EQ(read("{}"), before);
  plan.types.partials = ElementType::BF16;
  EXPECT_EQ(read("{\"partials\": \"bf16\", \"activations\": \"bf16\"}"),
            printPlan(plan));
}

TEST(Plan, jsonWithOpenTypes) {
  auto read = [](const char *file, const char *activations,
                 const char *partials) -> std::string {
    auto plan = parsePlan(file, {activations, partials});
    return !plan ? plan.error().message
                 : std::string(elementTypeName(plan->types.activations)) + " " +
                       std::string(elementTypeName(plan->types.partials));
  };
  const char *two = R"j({"R": ["period 1: [0,1)"], "S": ["period 1: [0,1)"],
    "T": ["period 2: [0,1)", "period 2: [1,2)"]})j",
             *one = R"j({"R": ["period 1: [0,1)"], "S": ["period 1: [0,1)"],
    "T": ["period 1: [0,1)"]})j",
             *half = R"j({"R": ["period 1: [0,1)"], "S": ["period 1: [0,1)"],
    "T": ["period 1: [0,1)"], "types": {"partials": "bf16"}})j";
  EXPECT_EQ(read(two, "bf16", ""), "bf16 f32");
  EXPECT_EQ(read(two, "bf16", "bf16"), "bf16 bf16");
  EXPECT_EQ(read(one, "f16", ""), "f16 f16");
  EXPECT_EQ(read(one, "f16", "f32"), "f16 f32");
  // What the file says stays.
  EXPECT_EQ(read(half, "bf16", "f32"), "bf16 bf16");
  EXPECT_EQ(read(half, "f32", ""),
            "plan: partials are bf16 vs f32 or the activations' f32");
  // What is asked for is not dropped.
  auto asked = [](const char *file, const char *activations,
                  const char *partials) -> std::string {
    auto plan = parsePlan(file, AskedTypes{activations, partials}, "bf16");
    return !plan ? plan.error().message
                 : std::string(elementTypeName(plan->types.activations)) + " " +
                       std::string(elementTypeName(plan->types.partials));
  };
  EXPECT_EQ(asked(two, "", ""), "bf16 f32");
  EXPECT_EQ(asked(two, "f16", "f16"), "f16 f16");
  EXPECT_EQ(asked(half, "", ""), "bf16 bf16");
  EXPECT_EQ(asked(half, "bf16", "f32"),
            "plan: partials are bf16 vs f32, which is asked for");
  // Without other types the same holds of partials.
  std::string bf16 = one;
  bf16.insert(1, R"j("types": {"activations": "bf16"}, )j");
  auto plan = parsePlan(bf16);
  ASSERT_TRUE(bool(plan)) << plan.error().message;
  EXPECT_EQ(plan->types.partials, ElementType::BF16);
}

TEST(Plan, jsonOfAMinimalFile) {
  auto plan = parsePlan(R"j({"R": ["period 1: [0,1)"],
    "S": ["[0,3) below 4, then period 2: [0,1)",
          "[3,4) below 4, then period 2: [1,2)"],
    "T": ["[0,64)"]})j");
  ASSERT_TRUE(bool(plan)) << plan.error().message;
  EXPECT_EQ(plan->limit(), 64);
  EXPECT_EQ(plan->ranks, (std::vector<int32_t>{0, 1, 2, 3}));
}

TEST(Plan, jsonRefusals) {
  auto message = [](const char *text) -> std::string {
    auto plan = parsePlan(text);
    return plan ? "accepted" : plan.error().message;
  };
  EXPECT_TRUE(message("{").starts_with("plan: "));
  EXPECT_EQ(message("[]"), "plan: the file must hold one object");
  EXPECT_EQ(message("{}"), "plan: key `R` is missing");
  EXPECT_EQ(message(R"j({"R": 1})j"), "plan: `R` must be a list of token sets");
  EXPECT_EQ(message(R"j({"R": [1]})j"),
            "plan: `R[0]` must be a string such as `period 7: [0,2)`");
  EXPECT_EQ(message(R"j({"R": ["period 2: [0,1)"]})j"),
            "plan: C1: position 1 is owned by no set of R");
  EXPECT_EQ(message(R"j({"R": ["period 2: [0,3)"]})j"),
            "plan: R[0]: token set `period 2: [0,3)`: run [0,3) ends beyond "
            "the period 2");
  EXPECT_EQ(message(R"j({"Q": []})j"),
            "plan: unknown key `Q`: the keys are R, S, T, client_layers, "
            "types and ranks");
  EXPECT_EQ(message(R"j({"R": [], "R": []})j"), "plan: key `R` is given twice");
#define ALL                                                                    \
  "\"R\": [\"period 1: [0,1)\"], \"S\": [\"period 1: [0,1)\"], "               \
  "\"T\": [\"period 1: [0,1)\"]"
  EXPECT_EQ(message("{" ALL ", \"ranks\": [0, 1]}"),
            "plan: C2: ranks are given for 2 nodes, the plan has 3");
  EXPECT_EQ(message("{" ALL ", \"ranks\": 3}"),
            "plan: `ranks` must be a list of numbers");
  EXPECT_EQ(message("{" ALL ", \"ranks\": [0, 2, 2]}"),
            "plan: ranks: no node on rank 1 vs ranks 0 to 2 without a hole");
  EXPECT_EQ(message("{" ALL ", \"ranks\": [0, 1, -1]}"),
            "plan: `ranks[2]` is -1, it must be a number from 0 to "
            "2147483647");
  EXPECT_EQ(message("{" ALL ", \"client_layers\": [1]}"),
            "plan: `client_layers` has 1 numbers, it must have 2: first and "
            "last layers");
  auto types = [&](const char *object) {
    return message(
        ("{" ALL ", \"types\": " + std::string(object) + "}").c_str());
  };
  EXPECT_EQ(types("[]"), "plan: `types` must be an object such as "
                         "{\"activations\": \"bf16\"}");
  EXPECT_EQ(types(R"j({"cache": "f32"})j"),
            "plan: unknown key `types.cache`: the keys are activations and "
            "partials");
  EXPECT_EQ(types(R"j({"activations": "f8"})j"),
            "plan: activations are f8 vs f32, bf16 or f16");
  EXPECT_EQ(types(R"j({"partials": 2})j"),
            "plan: `types.partials` is 2, it must be a string such as `bf16`");
  EXPECT_EQ(types(R"j({"partials": "f32", "partials": "f32"})j"),
            "plan: key `partials` is given twice");
  EXPECT_EQ(types(R"j({"activations": "i32"})j"),
            "plan: activations are i32 vs f32, bf16 or f16");
  EXPECT_EQ(types(R"j({"activations": "bf16", "partials": "f16"})j"),
            "plan: partials are f16 vs f32 or the activations' bf16");
  EXPECT_EQ(types(R"j({"partials": "i32"})j"),
            "plan: partials are i32 vs f32 or the activations' f32");
#undef ALL
  EXPECT_EQ(message(R"j({"R": ["period 1: [0,1)"], "S": [], "T": []})j"),
            "plan: C1: S owns no position");
}

} // namespace
