//===- Weights.h - where the interpreter finds weights ----------*- C++ -*-===//

#ifndef RSHARD_INTERPRETER_WEIGHTS_H
#define RSHARD_INTERPRETER_WEIGHTS_H

#include "RShard/RShard.h"
#include "rshard/runtime/SafeTensors.h"

namespace rshard::interpreter {

/// The values of weights, whatever their stored type, as double.
class WeightProvider {
public:
  virtual ~WeightProvider();

  /// The weight that `op` declares, of layer `layer` if it has one per layer:
  /// as ops see it, row-major with the shape of its type. Emits an error on
  /// `op` if there is no such tensor or it does not fit the declaration.
  virtual mlir::FailureOr<std::vector<double>> read(WeightOp op,
                                                    int64_t layer) = 0;

protected:
  /// The tensor's name, with the layer's number filled in.
  static std::string getTensorName(WeightOp op, int64_t layer);
};

/// A model's files.
class SafeTensorsWeights final : public WeightProvider {
public:
  explicit SafeTensorsWeights(runtime::SafeTensors files)
      : files(std::move(files)) {}
  mlir::FailureOr<std::vector<double>> read(WeightOp op,
                                            int64_t layer) override;

private:
  runtime::SafeTensors files;
};

/// Numbers that depend on the seed, the tensor's name and the element alone, so
/// that a program and what it was made from see the same weights. Matrices have
/// the standard deviation gain / sqrt(columns); vectors lie around `center`.
class RandomWeights final : public WeightProvider {
public:
  explicit RandomWeights(uint64_t seed, double gain = 1.5, double center = 1.0)
      : seed(seed), gain(gain), center(center) {}
  mlir::FailureOr<std::vector<double>> read(WeightOp op,
                                            int64_t layer) override;

private:
  uint64_t seed;
  double gain, center;
};

} // namespace rshard::interpreter

#endif // RSHARD_INTERPRETER_WEIGHTS_H
