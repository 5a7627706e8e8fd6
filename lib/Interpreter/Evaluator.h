//===- Evaluator.h - runs functions of the IR, op by op ---------*- C++ -*-===//

#ifndef RSHARD_LIB_INTERPRETER_EVALUATOR_H
#define RSHARD_LIB_INTERPRETER_EVALUATOR_H

#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "rshard/Interpreter/Tensor.h"
#include "rshard/Interpreter/Weights.h"
#include "llvm/ADT/DenseMap.h"
#include <map>

namespace rshard::interpreter {

template <typename T> using TensorPtr = std::shared_ptr<const Tensor<T>>;
using IdsPtr = std::shared_ptr<const Ids>;
template <typename T> using Data = llvm::SmallVector<Datum<T>, 4>;

/// Whether a caller's rows are as wide as those of a type.
template <typename T> bool takesRows(mlir::Type type, const Tensor<T> &rows) {
  auto tensor = llvm::dyn_cast<mlir::RankedTensorType>(type);
  return tensor && tensor.getRank() > 1 &&
         rshard::getRowWidth(tensor) == rows.width();
}
/// They, in the shape of the type.
template <typename T> TensorPtr<T> shapeRows(Tensor<T> rows, mlir::Type type) {
  int64_t count = rows.rows();
  rows.shape =
      std::vector<int64_t>(llvm::cast<mlir::RankedTensorType>(type).getShape());
  rows.shape[0] = count;
  return std::make_shared<const Tensor<T>>(std::move(rows));
}

/// Weights as tensors of T, read when first used and kept: all nodes that run
/// in one process share them.
template <typename T> class WeightStore {
public:
  explicit WeightStore(WeightProvider &provider) : provider(provider) {}
  mlir::FailureOr<TensorPtr<T>> get(WeightOp op, int64_t layer);

private:
  WeightProvider &provider;
  std::map<std::pair<std::string, int64_t>, TensorPtr<T>> kept;
};

/// What the program of a role asks of the node that runs it. Errors are emitted
/// on the op.
template <typename T> class NodeContext {
public:
  virtual ~NodeContext();
  virtual mlir::FailureOr<Ids> tokens(TokensOp op) = 0;
  virtual mlir::FailureOr<TensorPtr<T>> rows(RowsOp op) = 0;
  virtual mlir::FailureOr<Ids> positions(PositionsOp op, int64_t self) = 0;
  virtual mlir::FailureOr<TensorPtr<T>> wanted(WantedOp op,
                                               TensorPtr<T> rows) = 0;
  virtual mlir::LogicalResult send(SendOp op, int64_t layer,
                                   llvm::ArrayRef<TensorPtr<T>> rows) = 0;
  virtual mlir::FailureOr<Data<T>> receive(ReceiveOp op, int64_t layer) = 0;
  /// Keys, values and positions of everything cached.
  virtual mlir::FailureOr<Data<T>> append(AppendOp op, int64_t layer,
                                          const Tensor<T> &key,
                                          const Tensor<T> &value,
                                          const Ids &positions) = 0;
};

/// Runs functions of one module. Calls may nest up to a depth that no program
/// of the compiler reaches.
template <typename T> class Evaluator {
public:
  /// `node` is null in the model phase.
  Evaluator(mlir::ModuleOp module, WeightStore<T> &weights,
            NodeContext<T> *node = nullptr)
      : symbols(module), weights(weights), node(node) {}

  /// Calls `func`; emits an error where it went wrong.
  mlir::FailureOr<Data<T>> call(mlir::func::FuncOp func,
                                llvm::ArrayRef<Datum<T>> arguments);

  /// The positions of the rows, which attention of the model phase masks by.
  void setPositions(IdsPtr positions) { rowPositions = std::move(positions); }

private:
  using Frame = llvm::DenseMap<mlir::Value, Datum<T>>;

  /// Runs a block up to its terminator and returns the terminator's operands.
  mlir::FailureOr<Data<T>> run(mlir::Block &block, Frame &frame);
  mlir::LogicalResult evaluate(mlir::Operation *op, Frame &frame);
  mlir::LogicalResult control(mlir::Operation *op, Frame &frame);
  mlir::LogicalResult tokenWise(mlir::Operation *op, Frame &frame);
  mlir::LogicalResult attention(mlir::Operation *op, Frame &frame);
  mlir::LogicalResult program(mlir::Operation *op, Frame &frame);
  mlir::LogicalResult bind(mlir::Operation *op, Frame &frame,
                           const mlir::FailureOr<Data<T>> &results);
  /// Fails unless all operands that count tokens have as many rows.
  mlir::LogicalResult checkRows(mlir::Operation *op, const Frame &frame,
                                mlir::ValueRange values);

  static int64_t index(const Frame &frame, mlir::Value value) {
    return std::get<int64_t>(frame.at(value));
  }
  static const TensorPtr<T> &tensor(const Frame &frame, mlir::Value value) {
    return std::get<TensorPtr<T>>(frame.find(value)->second);
  }
  static const Ids &ids(const Frame &frame, mlir::Value value) {
    return *std::get<IdsPtr>(frame.find(value)->second);
  }
  static void set(Frame &frame, mlir::Value value, Tensor<T> result) {
    frame[value] = std::make_shared<const Tensor<T>>(std::move(result));
  }

  mlir::SymbolTable symbols;
  WeightStore<T> &weights;
  NodeContext<T> *node;
  IdsPtr rowPositions;
  int depth = 0;
};

extern template class WeightStore<float>;
extern template class WeightStore<double>;
extern template class NodeContext<float>;
extern template class NodeContext<double>;
extern template class Evaluator<float>;
extern template class Evaluator<double>;

} // namespace rshard::interpreter

#endif // RSHARD_LIB_INTERPRETER_EVALUATOR_H
