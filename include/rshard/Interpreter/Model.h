//===- Model.h - evaluates a module of the model phase ----------*- C++ -*-===//

#ifndef RSHARD_INTERPRETER_MODEL_H
#define RSHARD_INTERPRETER_MODEL_H

#include "mlir/IR/BuiltinOps.h"
#include "rshard/Interpreter/Tensor.h"
#include "rshard/Interpreter/Weights.h"

namespace rshard::interpreter {

/// The output of `@main` for tokens or rows at positions 0, 1, ...: [rows,
/// width]. Emits an error if the module is not of the model or planned phase,
/// if it takes something else, if a token is outside the vocabulary or a weight
/// is missing. T: float or double.
template <typename T>
mlir::FailureOr<Tensor<T>> runModel(mlir::ModuleOp module,
                                    WeightProvider &weights,
                                    const StepInput<T> &input);

extern template mlir::FailureOr<Tensor<float>>
runModel<float>(mlir::ModuleOp, WeightProvider &, const StepInput<float> &);
extern template mlir::FailureOr<Tensor<double>>
runModel<double>(mlir::ModuleOp, WeightProvider &, const StepInput<double> &);

} // namespace rshard::interpreter

#endif // RSHARD_INTERPRETER_MODEL_H
