//===- RowKernelTest.cpp - kernels that treat each row alone --------------===//

#include "Kernels.h"
#include <cmath>
#include <functional>
#include <limits>

using namespace rshard;
using namespace rshard::cpu;
using namespace rshard::cpu::test;

namespace {

class RowKernel : public testing::TestWithParam<const char *> {
protected:
  /// Runs a kernel of `rows` rows into a matrix `width` wide three times (at
  /// once, row by row, on two threads) and compares the bits with each other
  /// and the values with `expected`.
  void check(int64_t rows, int64_t width,
             const std::function<void(Matrix<float> &y, int64_t begin,
                                      int64_t count)> &run,
             const std::function<double(int64_t row, int64_t column)> &expected,
             double bound) {
    setThreads(1);
    Matrix<float> whole(rows, width, 0.5f), single(rows, width, 0.5f),
        threaded(rows, width, 0.5f);
    run(whole, 0, rows);
    Matrix<double> exact(rows, width);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < width; ++c)
        exact(r, c) = expected(r, c);
    EXPECT_LE(errorOf(whole, exact), bound) << rows << " rows";
    EXPECT_TRUE(whole.intact()) << rows << " rows";
    for (int64_t r = 0; r < rows; ++r)
      run(single, r, 1);
    EXPECT_TRUE(single.sameBits(whole)) << rows << " rows";
    setThreads(2);
    run(threaded, 0, rows);
    EXPECT_TRUE(threaded.sameBits(whole)) << rows << " rows";
  }
};

Table randomTable(Random &random, int64_t size, int64_t bound) {
  Table table(size);
  for (int32_t &entry : table)
    entry = static_cast<int32_t>(random.below(bound));
  return table;
}

/// A part of a table; the table outlives the call.
Descriptor<int32_t, 1> part(Table &table, int64_t begin, int64_t count) {
  return {table.data() + begin, table.data() + begin, 0, {count}, {1}};
}

TEST_P(RowKernel, Norm) {
  const NormParams tuples[] = {
      {NormKind::RMS, 1, 576, 1e-5, false},
      {NormKind::RMS, 9, 64, 1e-6, false},
      {NormKind::RMS, 3, 8, 1e-6, false},
      {NormKind::RMS, 2, 80, 1e-6, true},
      {NormKind::Layer, 1, 499, 1e-12, true},
      {NormKind::Layer, 1, 72, 1e-5, true},
      {NormKind::Layer, 2, 24, 1e-5, false},
      {NormKind::Layer, 1, 1, 1e-5, true},
  };
  Kernels kernels(GetParam());
  std::vector<std::string> names;
  for (const NormParams &params : tuples) {
    kernels.add(kernels.library().norm(params));
    names.push_back(kernels.library().norm(params).getName().str());
  }
  kernels.load();
  Random random(11);
  for (auto [params, name] : llvm::zip(tuples, names)) {
    SCOPED_TRACE(name);
    int64_t width = params.width, total = params.heads * width;
    Matrix<float> weight = random.matrix(1, width);
    Matrix<float> bias = random.matrix(1, width);
    for (int64_t rows : rowCounts) {
      Matrix<float> x = random.matrix(rows, total);
      // A large mean shows whether the variance is taken around it.
      if (params.kind == NormKind::Layer)
        for (size_t i = 0; i < x.size(); ++i)
          x.data()[i] += 30.0f;
      auto run = [&](Matrix<float> &y, int64_t begin, int64_t count) {
        if (params.bias)
          kernels.call(name, x.view(begin, count), weight.flat(), bias.flat(),
                       y.view(begin, count));
        else
          kernels.call(name, x.view(begin, count), weight.flat(),
                       y.view(begin, count));
      };
      check(
          rows, total, run,
          [&](int64_t r, int64_t c) {
            int64_t begin = c / width * width;
            double mean = 0.0, square = 0.0;
            if (params.kind == NormKind::Layer)
              for (int64_t i = 0; i < width; ++i)
                mean += x(r, begin + i) / static_cast<double>(width);
            for (int64_t i = 0; i < width; ++i)
              square += std::pow(x(r, begin + i) - mean, 2) /
                        static_cast<double>(width);
            double value =
                (x(r, c) - mean) / std::sqrt(square + params.epsilon);
            return value * weight(0, c - begin) +
                   (params.bias ? bias(0, c - begin) : 0.0);
          },
          5e-6);
    }
  }
}

TEST_P(RowKernel, GatedAndAdd) {
  Kernels kernels(GetParam());
  for (int64_t width : {72, 499, 1536}) {
    kernels.add(kernels.library().gated({width, Activation::SiLU}));
    kernels.add(kernels.library().gated({width, Activation::GELUTanh}));
    kernels.add(kernels.library().add(width));
    kernels.add(kernels.library().addRow(width));
    kernels.add(kernels.library().activation(width, std::nullopt));
    kernels.add(kernels.library().activation(width, Activation::GELU));
  }
  kernels.load();
  Random random(13);
  for (int64_t width : {72, 499, 1536})
    for (int64_t rows : rowCounts) {
      Matrix<float> a = random.matrix(rows, width);
      Matrix<float> b = random.matrix(rows, width);
      auto with = [&](const std::string &name) {
        return [&, name](Matrix<float> &y, int64_t begin, int64_t count) {
          kernels.call(name, a.view(begin, count), b.view(begin, count),
                       y.view(begin, count));
        };
      };
      std::string suffix = std::to_string(width);
      check(
          rows, width, with("gated_" + suffix + "_silu"),
          [&](int64_t r, int64_t c) {
            return a(r, c) / (1.0 + std::exp(-double(a(r, c)))) * b(r, c);
          },
          1e-6);
      check(
          rows, width, with("gated_" + suffix + "_gelu_tanh"),
          [&](int64_t r, int64_t c) {
            double x = a(r, c);
            double t =
                std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x));
            return 0.5 * x * (1.0 + t) * b(r, c);
          },
          1e-6);
      check(
          rows, width, with("add_" + suffix),
          [&](int64_t r, int64_t c) {
            return static_cast<double>(a(r, c) + b(r, c));
          },
          0.0);
      auto unary = [&](const std::string &name) {
        return [&, name](Matrix<float> &y, int64_t begin, int64_t count) {
          kernels.call(name, a.view(begin, count), y.view(begin, count));
        };
      };
      check(
          rows, width, unary("copy_" + suffix),
          [&](int64_t r, int64_t c) { return a(r, c); }, 0.0);
      check(
          rows, width, unary("gelu_" + suffix),
          [&](int64_t r, int64_t c) {
            double x = a(r, c);
            return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
          },
          1e-6);
      Matrix<float> constant = random.matrix(1, width);
      check(
          rows, width,
          [&](Matrix<float> &y, int64_t begin, int64_t count) {
            kernels.call("addrow_" + suffix, a.view(begin, count),
                         constant.flat(), y.view(begin, count));
          },
          [&](int64_t r, int64_t c) {
            return static_cast<double>(a(r, c) + constant(0, c));
          },
          0.0);
    }
}

TEST_P(RowKernel, SiluOfExtremes) {
  Kernels kernels(GetParam());
  kernels.add(kernels.library().gated({4, Activation::SiLU}));
  kernels.load();
  Matrix<float> gate(1, 4), up(1, 4, 1.0f), y(1, 4);
  float values[] = {-1e4f, 1e4f, -89.0f, 0.0f};
  std::copy_n(values, 4, gate.data());
  kernels.call("gated_4_silu", gate.view(), up.view(), y.view());
  EXPECT_EQ(y(0, 0), 0.0f);
  EXPECT_EQ(y(0, 1), 1e4f);
  EXPECT_NEAR(y(0, 2), 0.0f, 1e-30);
  EXPECT_EQ(y(0, 3), 0.0f);
}

TEST_P(RowKernel, Rope) {
  const RopeParams tuples[] = {{9, 64}, {3, 8}, {2, 80}, {1, 2}, {4, 18}};
  Kernels kernels(GetParam());
  for (const RopeParams &params : tuples)
    kernels.add(kernels.library().rope(params));
  kernels.load();
  Random random(17);
  for (const RopeParams &params : tuples) {
    int64_t d = params.headWidth, half = d / 2, total = params.heads * d;
    std::string name =
        "rope_" + std::to_string(params.heads) + "x" + std::to_string(d);
    SCOPED_TRACE(name);
    Matrix<float> table = random.matrix(300, d);
    for (int64_t rows : rowCounts) {
      Matrix<float> x = random.matrix(rows, total);
      Table positions = randomTable(random, rows, 300);
      check(
          rows, total,
          [&](Matrix<float> &y, int64_t begin, int64_t count) {
            // In place, as the compiler uses it.
            for (int64_t r = begin; r < begin + count; ++r)
              std::copy_n(&x(r, 0), total, &y(r, 0));
            kernels.call(name, y.view(begin, count),
                         part(positions, begin, count), table.view(),
                         y.view(begin, count));
          },
          [&](int64_t r, int64_t c) {
            int64_t i = c % d, pair = i % half, begin = c - i;
            double cos = table(positions[r], pair);
            double sin = table(positions[r], half + pair);
            double low = x(r, begin + pair), high = x(r, begin + half + pair);
            return i < half ? low * cos - high * sin : high * cos + low * sin;
          },
          1e-6);
    }
  }
}

TEST_P(RowKernel, Embed) {
  const EmbedParams tuples[] = {{72, ElementKind::F32, false, false},
                                {499, ElementKind::BF16, false, true},
                                {64, ElementKind::F32, true, true},
                                {24, ElementKind::BF16, true, false}};
  Kernels kernels(GetParam());
  std::vector<std::string> names;
  for (const EmbedParams &params : tuples) {
    kernels.add(kernels.library().embed(params));
    names.push_back(kernels.library().embed(params).getName().str());
  }
  kernels.load();
  Random random(19);
  for (auto [params, name] : llvm::zip(tuples, names)) {
    SCOPED_TRACE(name);
    Matrix<float> table = random.matrix(31, params.width);
    Matrix<BFloat> narrow(31, params.width);
    if (params.element == ElementKind::BF16)
      for (size_t i = 0; i < table.size(); ++i) {
        narrow.data()[i] = BFloat::truncated(table.data()[i]);
        table.data()[i] = narrow.data()[i].value();
      }
    Matrix<float> constant = random.matrix(1, params.width);
    for (int64_t rows : rowCounts) {
      Table ids = randomTable(random, rows, 31);
      auto run = [&](Matrix<float> &y, int64_t begin, int64_t count) {
        auto id = part(ids, begin, count);
        auto out = y.view(begin, count);
        if (params.element == ElementKind::BF16 && params.constant)
          kernels.call(name, id, narrow.view(), constant.flat(), out);
        else if (params.element == ElementKind::BF16)
          kernels.call(name, id, narrow.view(), out);
        else if (params.constant)
          kernels.call(name, id, table.view(), constant.flat(), out);
        else
          kernels.call(name, id, table.view(), out);
      };
      check(
          rows, params.width, run,
          [&](int64_t r, int64_t c) {
            return (params.accumulate ? 0.5 : 0.0) + table(ids[r], c) +
                   (params.constant ? constant(0, c) : 0.0);
          },
          2e-7);
    }
  }
}

TEST_P(RowKernel, GatherAndAppend) {
  Kernels kernels(GetParam());
  for (int64_t width : {8, 72, 499}) {
    kernels.add(kernels.library().gather(width));
    kernels.add(kernels.library().append(width));
  }
  kernels.load();
  Random random(23);
  for (int64_t width : {8, 72, 499})
    for (int64_t rows : rowCounts) {
      std::string suffix = std::to_string(width);
      Matrix<float> pool = random.matrix(40, width);
      Table source = randomTable(random, rows, 40);
      check(
          rows, width,
          [&](Matrix<float> &y, int64_t begin, int64_t count) {
            kernels.call("gather_" + suffix, pool.view(),
                         part(source, begin, count), y.view(begin, count));
          },
          [&](int64_t r, int64_t c) { return pool(source[r], c); }, 0.0);

      // Rows 3, 5, 7, ... of a larger cache.
      Matrix<float> cache(2 * rows + 4, width, -1.0f);
      Table target(rows);
      for (int64_t r = 0; r < rows; ++r)
        target[r] = static_cast<int32_t>(2 * r + 3);
      setThreads(2);
      kernels.call("append_" + suffix, pool.view(), view(source), cache.view(),
                   view(target));
      EXPECT_TRUE(cache.intact());
      for (int64_t r = 0; r < cache.rows; ++r)
        for (int64_t c = 0; c < width; ++c) {
          bool written = r >= 3 && r % 2 && (r - 3) / 2 < rows;
          ASSERT_EQ(cache(r, c), written ? pool(source[(r - 3) / 2], c) : -1.0f)
              << r;
        }
    }
}

TEST_P(RowKernel, Columns) {
  struct Part {
    int64_t total, first, width;
  };
  const Part parts[] = {{128, 0, 64}, {128, 96, 32}, {75, 3, 72}, {5, 4, 1}};
  auto nameOf = [](const Part &part) {
    return "columns_" + std::to_string(part.width) + "_from_" +
           std::to_string(part.first) + "_of_" + std::to_string(part.total);
  };
  Kernels kernels(GetParam());
  for (const Part &part : parts)
    kernels.add(kernels.library().columns(part.total, part.first, part.width));
  kernels.load();
  Random random(29);
  for (const Part &part : parts)
    for (int64_t rows : rowCounts) {
      Matrix<float> x = random.matrix(rows, part.total);
      check(
          rows, part.width,
          [&](Matrix<float> &y, int64_t begin, int64_t count) {
            kernels.call(nameOf(part), x.view(begin, count),
                         y.view(begin, count));
          },
          [&](int64_t r, int64_t c) { return x(r, part.first + c); }, 0.0);
    }
}

TEST_P(RowKernel, Merge) {
  const std::pair<int64_t, int64_t> shapes[] = {
      {9, 64}, {2, 8}, {3, 80}, {1, 1}};
  Kernels kernels(GetParam());
  for (auto [heads, d] : shapes)
    kernels.add(kernels.library().merge(heads, d));
  kernels.load();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  Random random(29);
  for (auto [heads, d] : shapes) {
    std::string name =
        "merge_" + std::to_string(heads) + "x" + std::to_string(d);
    SCOPED_TRACE(name);
    for (int64_t rows : rowCounts) {
      Matrix<float> o = random.matrix(50, heads * d);
      Matrix<float> lse = random.matrix(50, heads);
      for (int64_t r = 0; r < 50; ++r)
        for (int64_t h = 0; h < heads; ++h) {
          lse(r, h) *= 20.0f;
          // A third of the partials saw no key.
          if (random.below(3) == 0) {
            lse(r, h) = -infinity;
            std::fill_n(&o(r, h * d), d, 0.0f);
          }
        }
      Table begin{0}, source;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t n = random.below(5); n > 0; --n)
          source.push_back(static_cast<int32_t>(random.below(50)));
        begin.push_back(static_cast<int32_t>(source.size()));
      }
      check(
          rows, heads * d,
          [&](Matrix<float> &y, int64_t first, int64_t count) {
            kernels.call(name, o.view(), lse.view(),
                         part(begin, first, count + 1), view(source),
                         y.view(first, count));
          },
          [&](int64_t r, int64_t c) {
            double top = -infinity, total = 0.0, sum = 0.0;
            for (int32_t i = begin[r]; i < begin[r + 1]; ++i)
              top = std::max<double>(top, lse(source[i], c / d));
            if (top == -infinity)
              return 0.0;
            for (int32_t i = begin[r]; i < begin[r + 1]; ++i) {
              double weight = std::exp(lse(source[i], c / d) - top);
              total += weight;
              sum += weight * o(source[i], c);
            }
            return sum / total;
          },
          1e-6);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, RowKernel, testing::Values("native", "x86-64-v3"),
                         [](const auto &info) {
                           return info.index ? "Avx2" : "Native";
                         });

} // namespace
