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
                                                   const Ids &tokens) {
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
  if (type.getNumInputs() != 2 || !llvm::all_of(type.getInputs(), isIds) ||
      type.getNumResults() != 1 || isIds(type.getResult(0)))
    return main.emitOpError("has type ")
           << type << " vs (tokens, positions) -> rows";

  WeightStore<T> store(weights);
  Evaluator<T> evaluator(module, store);
  auto ids = std::make_shared<const Ids>(tokens);
  Ids sequence(tokens.size());
  std::iota(sequence.begin(), sequence.end(), 0);
  auto positions = std::make_shared<const Ids>(std::move(sequence));
  evaluator.setPositions(positions);
  FailureOr<Data<T>> results = evaluator.call(main, {ids, positions});
  if (failed(results))
    return failure();
  return *std::get<TensorPtr<T>>(results->front());
}

namespace rshard::interpreter {
template FailureOr<Tensor<float>> runModel<float>(ModuleOp, WeightProvider &,
                                                  const Ids &);
template FailureOr<Tensor<double>> runModel<double>(ModuleOp, WeightProvider &,
                                                    const Ids &);
} // namespace rshard::interpreter
