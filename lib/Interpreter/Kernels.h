//===- Kernels.h - the mathematics of the ops, in naive loops ---*- C++ -*-===//
//
// Each function is the formula in the op's description. T is float or double;
// sums are taken in T, in index order.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_INTERPRETER_KERNELS_H
#define RSHARD_LIB_INTERPRETER_KERNELS_H

#include "RShard/RShard.h"
#include "rshard/Interpreter/Tensor.h"
#include "rshard/tokenset/Mask.h"
#include <cmath>
#include <limits>

namespace rshard::interpreter {

template <typename T> T activate(Activation kind, T x) {
  switch (kind) {
  case Activation::SiLU:
    return x / (T(1) + std::exp(-x));
  case Activation::GELU:
    return x / T(2) * (T(1) + std::erf(x / std::sqrt(T(2))));
  case Activation::GELUTanh: {
    // arXiv 1606.08415, section 2.
    const T scale = std::sqrt(T(2) / T(3.14159265358979323846));
    return x / T(2) * (T(1) + std::tanh(scale * (x + T(0.044715) * x * x * x)));
  }
  case Activation::ReLU:
    return x > T(0) ? x : T(0);
  }
  return x;
}

/// `bias` may be null; [rows, width of x] x [N, K] -> `y`, a zeroed tensor of
/// width N.
template <typename T>
void linear(const Tensor<T> &x, const Tensor<T> &weight, const Tensor<T> *bias,
            Tensor<T> &y) {
  int64_t inputs = x.width(), outputs = weight.rows();
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t n = 0; n < outputs; ++n) {
      T sum = 0;
      for (int64_t k = 0; k < inputs; ++k)
        sum += x.row(t)[k] * weight.row(n)[k];
      y.row(t)[n] = sum + (bias ? bias->values[n] : T(0));
    }
}

/// Normalises the last dimension of every row or head; `bias` may be null.
template <typename T>
Tensor<T> normalize(NormKind kind, const Tensor<T> &x, const Tensor<T> &scale,
                    const Tensor<T> *bias, double eps) {
  Tensor<T> y(x.shape);
  int64_t size = scale.values.size();
  for (size_t base = 0; base < x.values.size(); base += size) {
    const T *from = x.values.data() + base;
    T mean = 0, variance = 0;
    if (kind == NormKind::Layer) {
      for (int64_t i = 0; i < size; ++i)
        mean += from[i];
      mean /= size;
    }
    for (int64_t i = 0; i < size; ++i)
      variance += (from[i] - mean) * (from[i] - mean);
    variance /= size;
    T factor = T(1) / std::sqrt(variance + T(eps));
    for (int64_t i = 0; i < size; ++i)
      y.values[base + i] = (from[i] - mean) * factor * scale.values[i] +
                           (bias ? bias->values[i] : T(0));
  }
  return y;
}

/// Rotates the pairs (x[i], x[i + d/2]) of every head (C4). Angles in double:
/// position x frequency outgrows the precision of a float.
template <typename T>
Tensor<T> rotate(const Tensor<T> &x, const Ids &positions,
                 llvm::ArrayRef<double> frequencies, double scale) {
  Tensor<T> y(x.shape);
  int64_t heads = x.shape[1], half = frequencies.size();
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t h = 0; h < heads; ++h) {
      const T *from = x.row(t) + h * 2 * half;
      T *to = y.row(t) + h * 2 * half;
      for (int64_t i = 0; i < half; ++i) {
        double angle = positions[t] * frequencies[i];
        T cosine = T(std::cos(angle) * scale),
          sine = T(std::sin(angle) * scale);
        to[i] = from[i] * cosine - from[i + half] * sine;
        to[i + half] = from[i + half] * cosine + from[i] * sine;
      }
    }
  return y;
}

/// Partial results of some queries: `output` normalised, [queries, heads, head
/// size], and `lse`, [queries, heads].
template <typename T> struct Partial {
  Tensor<T> output, lse;
};

/// Attention of queries to the keys that the mask shows them, by global
/// positions (C4). No visible key: output 0, lse -inf (C3). `softCap`: 0 for
/// none.
template <typename T>
Partial<T> attend(const Tensor<T> &query, const Ids &queryPositions,
                  const Tensor<T> &key, const Tensor<T> &value,
                  const Ids &keyPositions, const tokenset::Mask &mask,
                  double scale, double softCap) {
  int64_t heads = query.shape[1], size = query.shape[2];
  int64_t group = heads / key.shape[1];
  Partial<T> result{Tensor<T>(query.shape), Tensor<T>({query.rows(), heads})};
  for (int64_t t = 0; t < query.rows(); ++t) {
    std::vector<int64_t> visible;
    for (int64_t s = 0; s < key.rows(); ++s)
      if (mask.visible(queryPositions[t], keyPositions[s]))
        visible.push_back(s);
    for (int64_t h = 0; h < heads; ++h) {
      const T *q = query.row(t) + h * size;
      T *o = result.output.row(t) + h * size;
      T highest = -std::numeric_limits<T>::infinity();
      std::vector<T> scores;
      for (int64_t s : visible) {
        const T *k = key.row(s) + h / group * size;
        T score = 0;
        for (int64_t i = 0; i < size; ++i)
          score += q[i] * k[i];
        score *= T(scale);
        scores.push_back(softCap ? T(softCap) * std::tanh(score / T(softCap))
                                 : score);
        highest = std::max(highest, scores.back());
      }
      result.lse.row(t)[h] = highest;
      if (visible.empty())
        continue;
      T sum = 0;
      for (size_t n = 0; n < visible.size(); ++n) {
        T weight = std::exp(scores[n] - highest);
        const T *v = value.row(visible[n]) + h / group * size;
        for (int64_t i = 0; i < size; ++i)
          o[i] += weight * v[i];
        sum += weight;
      }
      for (int64_t i = 0; i < size; ++i)
        o[i] /= sum;
      result.lse.row(t)[h] += std::log(sum);
    }
  }
  return result;
}

/// C3 for one row of `heads` heads: merges the partial rows `sources` of
/// `partials`, in this order, into row `row` of `result`. -inf merged with -inf
/// is -inf.
template <typename T>
void merge(const Partial<T> &partials, llvm::ArrayRef<int64_t> sources,
           Partial<T> &result, int64_t row) {
  int64_t heads = partials.lse.width();
  int64_t size = partials.output.width() / heads;
  for (int64_t h = 0; h < heads; ++h) {
    T highest = -std::numeric_limits<T>::infinity();
    for (int64_t i : sources)
      highest = std::max(highest, partials.lse.row(i)[h]);
    T *o = result.output.row(row) + h * size;
    std::fill(o, o + size, T(0));
    result.lse.row(row)[h] = highest;
    if (std::isinf(highest) && highest < 0)
      continue; // no visible key
    T sum = 0;
    for (int64_t i : sources) {
      T weight = std::exp(partials.lse.row(i)[h] - highest);
      const T *from = partials.output.row(i) + h * size;
      for (int64_t d = 0; d < size; ++d)
        o[d] += weight * from[d];
      sum += weight;
    }
    for (int64_t d = 0; d < size; ++d)
      o[d] /= sum;
    result.lse.row(row)[h] = highest + std::log(sum);
  }
}

} // namespace rshard::interpreter

#endif // RSHARD_LIB_INTERPRETER_KERNELS_H
