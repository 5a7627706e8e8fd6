//===- LinearTest.cpp - linear kernels against loops in double ------------===//

#include "Kernels.h"
#include <cmath>

using namespace rshard;
using namespace rshard::cpu;
using namespace rshard::cpu::test;

namespace {

double activated(std::optional<Activation> activation, double x) {
  if (!activation)
    return x;
  switch (*activation) {
  case Activation::SiLU:
    return x / (1.0 + std::exp(-x));
  case Activation::GELU:
    return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
  case Activation::GELUTanh:
    return 0.5 * x *
           (1.0 +
            std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
  case Activation::ReLU:
    return std::max(x, 0.0);
  }
  return NAN;
}

/// [K][N] as [ceil(N / panel)][K][panel], zero where there is no column.
template <typename T, typename From>
Matrix<T> packed(const Matrix<From> &weight, int64_t panel) {
  int64_t depth = weight.rows, columns = weight.width;
  Matrix<T> result((columns + panel - 1) / panel * depth, panel);
  for (int64_t n = 0; n < columns; ++n)
    for (int64_t k = 0; k < depth; ++k)
      result(n / panel * depth + k, n % panel) = weight(k, n);
  return result;
}

const LinearParams tuples[] = {
    {72, 24, ElementKind::F32, std::nullopt, false, false},
    {24, 72, ElementKind::BF16, Activation::SiLU, true, false},
    {64, 499, ElementKind::F32, Activation::GELU, true, true},
    {176, 64, ElementKind::BF16, std::nullopt, false, true},
    {576, 176, ElementKind::F32, Activation::GELUTanh, true, false},
    {1100, 130, ElementKind::BF16, Activation::ReLU, false, true},
    {1, 1, ElementKind::F32, std::nullopt, true, true},
};

class Linear : public testing::TestWithParam<const char *> {
protected:
  template <typename T>
  void check(Kernels &kernels, const std::string &name,
             const LinearParams &params);
};

template <typename T>
void Linear::check(Kernels &kernels, const std::string &name,
                   const LinearParams &params) {
  Random random(7);
  int64_t depth = params.inputs, columns = params.outputs;
  int64_t panel = kernels.shape().panel;
  Matrix<T> weight(depth, columns);
  Matrix<double> exact(depth, columns);
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t n = 0; n < columns; ++n) {
      float value = random.normal();
      if constexpr (std::is_same_v<T, BFloat>) {
        weight(k, n) = BFloat::truncated(value);
        exact(k, n) = weight(k, n).value();
      } else {
        exact(k, n) = weight(k, n) = value;
      }
    }
  Matrix<T> panels = packed<T>(weight, panel);
  Descriptor<T, 3> w{panels.data(),
                     panels.data(),
                     0,
                     {panels.rows / depth, depth, panel},
                     {depth * panel, panel, 1}};
  Matrix<float> bias = random.matrix(1, columns);

  for (int64_t rows : rowCounts) {
    Matrix<float> x = random.matrix(rows, depth);
    Matrix<float> residual = random.matrix(rows, columns);
    Matrix<double> expected(rows, columns);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t n = 0; n < columns; ++n) {
        double sum = params.bias ? bias(0, n) : 0.0;
        for (int64_t k = 0; k < depth; ++k)
          sum += x(r, k) * exact(k, n);
        expected(r, n) = activated(params.activation, sum) +
                         (params.residual ? residual(r, n) : 0.0);
      }
    // The output doubles as the residual, which is allowed.
    auto run = [&](Matrix<float> &y, int64_t begin, int64_t count) {
      if (params.bias && params.residual)
        kernels.call(name, x.view(begin, count), w, bias.flat(),
                     y.view(begin, count), y.view(begin, count));
      else if (params.bias)
        kernels.call(name, x.view(begin, count), w, bias.flat(),
                     y.view(begin, count));
      else if (params.residual)
        kernels.call(name, x.view(begin, count), w, y.view(begin, count),
                     y.view(begin, count));
      else
        kernels.call(name, x.view(begin, count), w, y.view(begin, count));
    };
    setThreads(1);
    Matrix<float> whole = residual;
    run(whole, 0, rows);
    EXPECT_LT(errorOf(whole, expected), 2e-6) << name << " rows " << rows;
    EXPECT_TRUE(whole.intact()) << name << " rows " << rows;

    Matrix<float> single = residual;
    for (int64_t r = 0; r < rows; ++r)
      run(single, r, 1);
    EXPECT_TRUE(single.sameBits(whole)) << name << " rows " << rows;

    setThreads(2);
    Matrix<float> threaded = residual;
    run(threaded, 0, rows);
    EXPECT_TRUE(threaded.sameBits(whole)) << name << " rows " << rows;
  }
}

TEST_P(Linear, MatchesLoops) {
  Kernels kernels(GetParam());
  std::vector<std::string> names;
  for (const LinearParams &params : tuples) {
    mlir::func::FuncOp kernel = kernels.library().linear(params);
    EXPECT_EQ(kernel, kernels.library().linear(params));
    kernels.add(kernel);
    names.push_back(kernel.getName().str());
  }
  kernels.load();
  for (size_t i = 0; i < names.size(); ++i)
    if (tuples[i].weight == ElementKind::BF16)
      check<BFloat>(kernels, names[i], tuples[i]);
    else
      check<float>(kernels, names[i], tuples[i]);
}

INSTANTIATE_TEST_SUITE_P(Cpu, Linear, testing::Values("native", "x86-64-v3"),
                         [](const auto &info) {
                           return info.index ? "Avx2" : "Native";
                         });

} // namespace
