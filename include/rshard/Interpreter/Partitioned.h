//===- Partitioned.h - runs a partitioned module as n nodes -----*- C++ -*-===//

#ifndef RSHARD_INTERPRETER_PARTITIONED_H
#define RSHARD_INTERPRETER_PARTITIONED_H

#include "mlir/IR/BuiltinOps.h"
#include "rshard/Interpreter/Tensor.h"
#include "rshard/Interpreter/Weights.h"
#include "rshard/tokenset/Plan.h"
#include <functional>

namespace rshard::interpreter {

/// Rows that one node received from another. Nodes are numbered as in the plan.
struct Message {
  RouteKind kind;
  int64_t layer;
  int32_t from, to;
  Ids positions; ///< of the rows, ascending
};

/// The nodes of a module of the partitioned phase, with their caches. Every
/// node sees what its program sees: its own rows, what it received, its cache.
/// T: float or double.
template <typename T> class Partitioned {
public:
  /// Emits an error if the module is not of the partitioned phase, or if the
  /// capacity is beyond what the plan's sets own. `weights` must outlive the
  /// result.
  static mlir::FailureOr<Partitioned>
  create(mlir::ModuleOp module, WeightProvider &weights, int64_t capacity);
  Partitioned(Partitioned &&) noexcept;
  ~Partitioned();

  /// Runs tokens or rows at positions [position, position + their number) and
  /// returns the output of the last `wanted` of them, [wanted, width]. A
  /// position below length() forgets what comes after it (C5). Emits an error
  /// and leaves length() as it was if the position is beyond length(), the step
  /// is empty or beyond the capacity, if a full mask gets a second step, if the
  /// programs take something else, if one fails or if they wait for one another
  /// (C6).
  mlir::FailureOr<Tensor<T>> step(const StepInput<T> &input, int64_t position,
                                  int64_t wanted);

  /// The position after the last step.
  int64_t length() const;
  const tokenset::Plan &plan() const;

  /// Told of every message where it is received.
  void onReceive(std::function<void(const Message &)> listener);

private:
  struct State;
  explicit Partitioned(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

extern template class Partitioned<float>;
extern template class Partitioned<double>;

} // namespace rshard::interpreter

#endif // RSHARD_INTERPRETER_PARTITIONED_H
