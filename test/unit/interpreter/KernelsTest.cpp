//===- KernelsTest.cpp - the formulas, against numbers worked out by hand -===//

#include "Kernels.h"
#include <gtest/gtest.h>

using namespace rshard;
using namespace rshard::interpreter;
using tokenset::Mask;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

static Tensor<double> make(std::vector<int64_t> shape,
                           std::vector<double> values) {
  Tensor<double> tensor(std::move(shape));
  tensor.values = std::move(values);
  return tensor;
}

TEST(Kernels, Activations) {
  // 1 / (1 + 1/e) and (1 + erf(1/sqrt 2)) / 2, from tables of the functions.
  EXPECT_NEAR(activate(Activation::SiLU, 1.0), 0.7310585786300049, 1e-15);
  EXPECT_NEAR(activate(Activation::GELU, 1.0), 0.8413447460685429, 1e-15);
  EXPECT_NEAR(activate(Activation::GELUTanh, 1.0), 0.8411919906082768, 1e-15);
  EXPECT_EQ(activate(Activation::ReLU, -2.0), 0.0);
  EXPECT_EQ(activate(Activation::ReLU, 2.0), 2.0);
}

TEST(Kernels, Linear) {
  Tensor<double> y({1, 2});
  Tensor<double> bias = make({2}, {100, 200});
  linear(make({1, 3}, {1, 2, 3}), make({2, 3}, {1, 0, 0, 1, 10, 100}), &bias,
         y);
  EXPECT_EQ(y.values, (std::vector<double>{101, 521}));
}

TEST(Kernels, Norms) {
  // Mean square 12.5, and mean 3.5 with variance 0.25.
  auto x = make({1, 2}, {3, 4}), scale = make({2}, {1, 10}),
       bias = make({2}, {0, 1});
  auto rms = normalize<double>(NormKind::RMS, x, scale, nullptr, 1e-30);
  EXPECT_NEAR(rms.values[0], 3 / std::sqrt(12.5), 1e-12);
  EXPECT_NEAR(rms.values[1], 40 / std::sqrt(12.5), 1e-12);
  auto layer = normalize<double>(NormKind::Layer, x, scale, &bias, 1e-30);
  EXPECT_NEAR(layer.values[0], -1, 1e-12);
  EXPECT_NEAR(layer.values[1], 11, 1e-12);
}

TEST(Kernels, RotationByAQuarterTurn) {
  // One head of size 4: pairs (0, 2) and (1, 3).
  constexpr double kQuarter = 1.5707963267948966;
  auto y =
      rotate<double>(make({1, 1, 4}, {1, 2, 3, 4}), {1}, {kQuarter, 0.0}, 2.0);
  EXPECT_NEAR(y.values[0], -6, 1e-12);
  EXPECT_NEAR(y.values[1], 4, 1e-12);
  EXPECT_NEAR(y.values[2], 2, 1e-12);
  EXPECT_NEAR(y.values[3], 8, 1e-12);
}

TEST(Kernels, AttentionByGlobalPositions) {
  // Two query heads share one key head; the key at position 9 is later.
  auto query = make({2, 2, 1}, {1, 0, 1, 0});
  auto key = make({3, 1, 1}, {0, std::log(3.0), 5});
  auto value = make({3, 1, 1}, {4, 8, 100});
  auto result = attend<double>(query, {7, 1}, key, value, {2, 7, 9},
                               Mask::causal(), 1.0, 0.0);
  // Weights 1 : 3 for head 0, 1 : 1 for head 1.
  EXPECT_NEAR(result.output.values[0], 7, 1e-12);
  EXPECT_NEAR(result.lse.values[0], std::log(4.0), 1e-12);
  EXPECT_NEAR(result.output.values[1], 6, 1e-12);
  EXPECT_NEAR(result.lse.values[1], std::log(2.0), 1e-12);
  // Position 1 sees no key (C3).
  EXPECT_EQ(result.output.values[2], 0);
  EXPECT_EQ(result.lse.values[2], -kInfinity);
}

TEST(Kernels, MergeIsExact) {
  // C3: two halves of an attention whose weights sum to 1 and 3.
  Partial<double> partials{make({2, 1, 1}, {10, 30}),
                           make({2, 1}, {0, std::log(3.0)})};
  Partial<double> result{Tensor<double>({1, 1, 1}), Tensor<double>({1, 1})};
  merge<double>(partials, {0, 1}, result, 0);
  EXPECT_NEAR(result.output.values[0], 25, 1e-12);
  EXPECT_NEAR(result.lse.values[0], std::log(4.0), 1e-12);
}

TEST(Kernels, MergeOfEmptyPartials) {
  // C3: -inf merged with -inf is -inf, never NaN; an empty partial is no
  // weight.
  Partial<double> partials{make({3, 1, 1}, {0, 0, 5}),
                           make({3, 1}, {-kInfinity, -kInfinity, 2})};
  Partial<double> result{make({1, 1, 1}, {7}), Tensor<double>({1, 1})};
  merge<double>(partials, {0, 1}, result, 0);
  EXPECT_EQ(result.output.values[0], 0);
  EXPECT_EQ(result.lse.values[0], -kInfinity);
  merge<double>(partials, {0, 2}, result, 0);
  EXPECT_EQ(result.output.values[0], 5);
  EXPECT_EQ(result.lse.values[0], 2);
  merge<double>(partials, {}, result, 0);
  EXPECT_EQ(result.output.values[0], 0);
}
