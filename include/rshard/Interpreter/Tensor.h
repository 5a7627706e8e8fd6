//===- Tensor.h - values of the interpreter ---------------------*- C++ -*-===//

#ifndef RSHARD_INTERPRETER_TENSOR_H
#define RSHARD_INTERPRETER_TENSOR_H

#include <cstdint>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

namespace rshard::interpreter {

/// A row-major tensor. The first dimension counts tokens, or rows of a weight.
template <typename T> struct Tensor {
  std::vector<int64_t> shape;
  std::vector<T> values;

  Tensor() = default;
  /// Zeros.
  explicit Tensor(std::vector<int64_t> shape) : shape(std::move(shape)) {
    values.resize(rows() * width());
  }

  int64_t rows() const { return shape.empty() ? 0 : shape[0]; }
  /// Elements of one row.
  int64_t width() const {
    int64_t width = 1;
    for (size_t i = 1; i < shape.size(); ++i)
      width *= shape[i];
    return width;
  }
  T *row(int64_t index) { return values.data() + index * width(); }
  const T *row(int64_t index) const { return values.data() + index * width(); }
};

/// Token ids, positions, indices.
using Ids = std::vector<int32_t>;

/// What a step runs: token ids or, attention-only, rows.
template <typename T> using StepInput = std::variant<Ids, Tensor<T>>;
template <typename T> int64_t countRows(const StepInput<T> &input) {
  if (const Ids *tokens = std::get_if<Ids>(&input))
    return static_cast<int64_t>(tokens->size());
  return std::get<Tensor<T>>(input).rows();
}

/// What an SSA value holds: an index, a tensor of numbers or one of i32.
template <typename T>
using Datum = std::variant<int64_t, std::shared_ptr<const Tensor<T>>,
                           std::shared_ptr<const Ids>>;

} // namespace rshard::interpreter

#endif // RSHARD_INTERPRETER_TENSOR_H
