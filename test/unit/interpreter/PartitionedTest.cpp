//===- PartitionedTest.cpp - nodes compute what the model computes --------===//

#include "rshard/Interpreter/Partitioned.h"
#include "RandomModel.h"
#include "RandomPlans.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "rshard/Interpreter/Model.h"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

using namespace rshard;
using namespace rshard::interpreter;
using namespace rshard::test;
using tokenset::test::draw;

static double getLargest(const std::vector<double> &values) {
  double largest = 0;
  for (double value : values)
    largest = std::max(largest, std::abs(value));
  return largest;
}

/// Largest difference over largest value; NaN if there is a NaN.
template <typename T>
static double getError(const Tensor<T> &actual, const double *expected) {
  double difference = 0, scale = 0;
  for (size_t i = 0; i < actual.values.size(); ++i) {
    if (std::isnan(actual.values[i]))
      return std::numeric_limits<double>::quiet_NaN();
    difference = std::max(difference, std::abs(actual.values[i] - expected[i]));
    scale = std::max(scale, std::abs(expected[i]));
  }
  return scale > 0 ? difference / scale : difference;
}

/// Runs random steps on nodes and on the model, and compares every output.
template <typename T> static void checkSteps(double bound) {
  RandomModel model = drawModel();
  tokenset::Plan plan = tokenset::test::drawPlan();
  plan.clientFirst = draw(0, model.layers() - 1);
  plan.clientLast = draw(0, model.layers() - 1 - plan.clientFirst);
  int64_t capacity = draw(1, 24);
  auto steps = tokenset::test::drawSteps({model.isBidirectional()
                                              ? tokenset::Mask::full()
                                              : tokenset::Mask::causal()},
                                         capacity, capacity);
  RC_LOG() << model.text << tokenset::printPlan(plan) << "capacity " << capacity
           << "\n";

  auto module = parseModel(getContext(), model);
  RC_ASSERT(bool(module));
  auto partitioned = partition(*module, plan);
  RC_ASSERT(bool(partitioned));
  RandomWeights weights(draw(0, 1 << 20));
  auto nodes = Partitioned<T>::create(*partitioned, weights, capacity);
  RC_ASSERT(succeeded(nodes));

  Ids tokens;
  for (const tokenset::Step &step : steps) {
    RC_LOG() << "step " << step.position << " + " << step.rows << ", wanted "
             << step.wanted << "\n";
    tokens.resize(step.position);
    for (int64_t i = 0; i < step.rows; ++i)
      tokens.push_back(draw(0, model.vocabulary - 1));
    auto actual = nodes->step(Ids(tokens.begin() + step.position, tokens.end()),
                              step.position, step.wanted);
    RC_ASSERT(succeeded(actual));
    auto expected = runModel<double>(*module, weights, tokens);
    RC_ASSERT(succeeded(expected));
    RC_ASSERT(actual->rows() == step.wanted);
    RC_ASSERT(actual->width() == expected->width());
    RC_ASSERT(nodes->length() == int64_t(tokens.size()));
    double error =
        getError(*actual, expected->row(expected->rows() - step.wanted));
    RC_LOG() << "error " << error << "\n";
    RC_ASSERT(error < bound);
  }
}

RC_GTEST_PROP(Partitioned, ComputesTheModel, ()) { checkSteps<double>(1e-9); }

// C5's bound, but for models of random weights whose norms may divide by
// little.
RC_GTEST_PROP(Partitioned, ComputesTheModelInSinglePrecision, ()) {
  checkSteps<float>(5e-4);
}

// The property above can fail: every visible token matters to the last output.
RC_GTEST_PROP(Partitioned, SeesEveryToken, ()) {
  RandomModel model = drawModel();
  RC_PRE(llvm::all_of(model.masks, [](const tokenset::Mask &mask) {
    return mask.kind != tokenset::MaskKind::Window;
  }));
  auto module = parseModel(getContext(), model);
  auto partitioned = partition(*module, tokenset::test::drawPlan());
  RC_ASSERT(bool(partitioned));
  RandomWeights weights(draw(0, 1 << 20));
  int64_t length = draw(2, 16);
  auto nodes = Partitioned<double>::create(*partitioned, weights, length);
  RC_ASSERT(succeeded(nodes));
  Ids tokens(length, 0);
  auto before = nodes->step(tokens, 0, 1);
  tokens[draw(0, length - 2)] = 1;
  auto after = nodes->step(tokens, 0, 1);
  RC_ASSERT(succeeded(before) && succeeded(after));
  RC_ASSERT(getError(*after, before->values.data()) > 0);
  RC_ASSERT(getLargest(before->values) > 0);
}

// The same input gives the same bits (C9).
RC_GTEST_PROP(Partitioned, IsDeterministic, ()) {
  RandomModel model = drawModel();
  auto module = parseModel(getContext(), model);
  auto partitioned = partition(*module, tokenset::test::drawPlan());
  RC_ASSERT(bool(partitioned));
  RandomWeights weights(1);
  Ids tokens(draw(1, 16));
  for (int32_t &token : tokens)
    token = draw(0, model.vocabulary - 1);
  std::vector<float> outputs[2];
  for (std::vector<float> &output : outputs) {
    auto nodes = Partitioned<float>::create(*partitioned, weights, 16);
    RC_ASSERT(succeeded(nodes));
    auto rows = nodes->step(tokens, 0, tokens.size());
    RC_ASSERT(succeeded(rows));
    output = rows->values;
  }
  RC_ASSERT(outputs[0] == outputs[1]);
}

//===----------------------------------------------------------------------===//
// Refusals
//===----------------------------------------------------------------------===//

namespace {
/// Two nodes and a client on a model of one layer without a head.
class Refusals : public testing::Test {
protected:
  static std::string makeText(const std::string &mask) {
    return R"mlir(
rshard.weight @e "e" : tensor<4x2xf32>
func.func private @l(%layer: index, %x: tensor<?x2xf32>, %p: tensor<?xi32>) -> tensor<?x2xf32> {
  %w = rshard.parameter @w : tensor<2x2xf32>
  %q = rshard.linear %x, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x1x2xf32>
  %o = rshard.attention %q, %q, %q mask )mlir" +
           mask + R"mlir( scale 1.0 : tensor<?x1x2xf32>, tensor<?x1x2xf32>
  %y = rshard.linear %o, %w : (tensor<?x1x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
rshard.weight @w "w" : tensor<2x2xf32>
func.func @main(%t: tensor<?xi32>, %p: tensor<?xi32>) -> tensor<?x2xf32> {
  %e = rshard.parameter @e : tensor<4x2xf32>
  %x = rshard.embedding %t of %e : (tensor<?xi32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  %y = rshard.layers [@l] [0] (%x, %p) : tensor<?x2xf32>, tensor<?xi32>
  return %y : tensor<?x2xf32>
})mlir";
  }

  void make(const std::string &mask) {
    RandomModel model;
    model.text = makeText(mask);
    module = parseModel(getContext(), model);
    ASSERT_TRUE(bool(module));
    tokenset::Plan plan;
    plan.R = *tokenset::Partition::roundRobin("R", 1);
    plan.S = *tokenset::Partition::roundRobin("S", 1);
    plan.T = *tokenset::Partition::roundRobin("T", 2);
    placeApart(plan);
    partitioned = partition(*module, plan);
    ASSERT_TRUE(bool(partitioned));
  }

  /// The error that `fn` emits.
  template <typename Fn> std::string getError(Fn &&fn) {
    std::string text;
    mlir::ScopedDiagnosticHandler handler(&getContext(),
                                          [&](mlir::Diagnostic &diagnostic) {
                                            text += diagnostic.str();
                                            return mlir::success();
                                          });
    EXPECT_TRUE(failed(fn()));
    return text;
  }

  mlir::OwningOpRef<mlir::ModuleOp> module, partitioned;
  RandomWeights weights{1};
};
} // namespace

TEST_F(Refusals, NameBothValues) {
  make("<causal>");
  auto nodes = Partitioned<double>::create(*partitioned, weights, 4);
  ASSERT_TRUE(succeeded(nodes));
  EXPECT_EQ(getError([&] { return nodes->step(Ids{1}, 1, 1); }),
            "C5: step at position 1 vs 0 to 0");
  EXPECT_EQ(getError([&] { return nodes->step(Ids{}, 0, 0); }),
            "step of 0 rows at position 0 vs 1 to 4");
  EXPECT_EQ(getError([&] { return nodes->step(Ids{1, 1, 1, 1, 1}, 0, 1); }),
            "step of 5 rows at position 0 vs 1 to 4");
  EXPECT_EQ(getError([&] { return nodes->step(Ids{1}, 0, 2); }),
            "wanted rows: 2 vs 0 to 1");
  EXPECT_EQ(getError([&] { return nodes->step(Ids{4}, 0, 1); }),
            "'rshard.embedding' op id 4 vs 0 to 3");
  EXPECT_EQ(getError([&] { return nodes->step(Ids{-1}, 0, 1); }),
            "'rshard.embedding' op id -1 vs 0 to 3");
  // None of them left a trace.
  EXPECT_EQ(nodes->length(), 0);
  EXPECT_TRUE(succeeded(nodes->step(Ids{1, 2}, 0, 1)));
  EXPECT_EQ(nodes->length(), 2);
  EXPECT_EQ(getError([&] { return nodes->step(Ids{1}, 3, 1); }),
            "C5: step at position 3 vs 0 to 2");
  EXPECT_TRUE(succeeded(nodes->step(Ids{1, 2, 3}, 1, 1)));
}

TEST_F(Refusals, BidirectionalModelsTakeOneStep) {
  make("<full>");
  auto nodes = Partitioned<double>::create(*partitioned, weights, 4);
  ASSERT_TRUE(succeeded(nodes));
  EXPECT_TRUE(succeeded(nodes->step(Ids{1, 2}, 0, 1)));
  EXPECT_EQ(getError([&] { return nodes->step(Ids{1}, 2, 1); }),
            "C5: step at position 2 vs 0: tokens of a bidirectional model see "
            "later ones");
  EXPECT_TRUE(succeeded(nodes->step(Ids{1, 2, 3}, 0, 1)));
}

TEST_F(Refusals, OtherPhases) {
  make("<causal>");
  EXPECT_EQ(getError([&] {
              return Partitioned<double>::create(*module, weights, 4);
            }),
            "holds no rshard.placement vs a module of the planned phase");
  EXPECT_EQ(
      getError([&] { return runModel<double>(*partitioned, weights, Ids{1}); }),
      "holds no function @main vs a module of the model phase");
}

// C6: a send that is missing leaves a node waiting; a send that nobody receives
// is left over.
TEST_F(Refusals, UnmatchedMessages) {
  make("<causal>");
  SendOp partial;
  partitioned->walk([&](SendOp send) {
    if (send.getRoute() == "partial0")
      partial = send;
  });
  ASSERT_TRUE(bool(partial));
  mlir::OpBuilder builder(partial);
  partial.erase();
  auto nodes = Partitioned<double>::create(*partitioned, weights, 4);
  ASSERT_TRUE(succeeded(nodes));
  EXPECT_NE(getError([&] {
              return nodes->step(Ids{1}, 0, 1);
            }).find("C6: the programs wait for one another"),
            std::string::npos);
}
