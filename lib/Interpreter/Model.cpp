//===- Model.cpp - evaluates a module of the model phase ------------------===//

#include "rshard/Interpreter/Model.h"
#include "Evaluator.h"
#include <numeric>

using namespace mlir;
using namespace rshard;
using namespace rshard::interpreter;

template <typename T>
FailureOr<Tensor<T>> rshard::interpreter::runModel(ModuleOp module,
                                                   WeightProvider &weights,
                                                   const StepInput<T> &input) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main)
    return module.emitError(
        "holds no function @main vs a module of the model phase");
  FunctionType type = main.getFunctionType();
  auto isIds = [](Type input) {
    auto tensor = dyn_cast<RankedTensorType>(input);
    return tensor && tensor.getRank() == 1 &&
           tensor.getElementType().isInteger(32);
  };
  const auto *tokens = std::get_if<Ids>(&input);
  if (type.getNumInputs() != 2 || !isIds(type.getInput(1)) ||
      (tokens ? !isIds(type.getInput(0))
              : !takesRows(type.getInput(0), std::get<Tensor<T>>(input))) ||
      type.getNumResults() != 1 || isIds(type.getResult(0)))
    return main.emitOpError("has type ")
           << type << " vs "
           << (tokens ? "(tokens, positions) -> rows"
                      : "(rows, positions) -> rows, with rows as wide as those "
                        "that are given");

  WeightStore<T> store(weights);
  Evaluator<T> evaluator(module, store);
  Ids sequence(countRows<T>(input));
  std::iota(sequence.begin(), sequence.end(), 0);
  auto positions = std::make_shared<const Ids>(std::move(sequence));
  evaluator.setPositions(positions);
  Datum<T> first;
  if (tokens)
    first = std::make_shared<const Ids>(*tokens);
  else
    first = shapeRows(std::get<Tensor<T>>(input), type.getInput(0));
  FailureOr<Data<T>> results = evaluator.call(main, {first, positions});
  if (failed(results))
    return failure();
  return *std::get<TensorPtr<T>>(results->front());
}

namespace rshard::interpreter {
template FailureOr<Tensor<float>> runModel<float>(ModuleOp, WeightProvider &,
                                                  const StepInput<float> &);
template FailureOr<Tensor<double>> runModel<double>(ModuleOp, WeightProvider &,
                                                    const StepInput<double> &);
} // namespace rshard::interpreter
