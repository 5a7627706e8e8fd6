//===- NormKernel.cpp - RMS and layer normalisation -----------------------===//

#include "KernelTypes.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace mlir;

namespace rshard::cpu {

namespace {
struct NormKernel {
  KernelBuilder &k;
  const NormParams &params;
  int64_t width; ///< lanes handled at a time
  Memory x, weight, bias, y;

  void build() {
    k.parallel({k.rows(y)}, [&](At at) {
      k.forEach(k.index(0), k.index(params.heads), 1,
                [&](Index head) { group(at[0], head * params.width); });
    });
  }

  /// Sums `term` over a group: lane by lane, then across lanes. Lanes past the
  /// end hold zero after `term`.
  Float total(Index row, Index begin,
              function_ref<Float(Float value, Lanes)> term) {
    int64_t full = params.width / width, tail = params.width % width;
    KernelBuilder::Carried sums{k.constant(0.0, width)};
    if (full)
      sums = k.fold(k.index(0), k.index(full), 1, sums,
                    [&](Index chunk, KernelBuilder::Carried &sum) {
                      Index column = begin + chunk * width;
                      sum[0] =
                          sum[0] + term(k.load(x, {row, column}, width), width);
                    });
    if (tail) {
      Lanes lanes(width, tail);
      Index column = begin + full * width;
      sums[0] = sums[0] + term(k.load(x, {row, column}, lanes), lanes);
    }
    return k.sum(sums[0]);
  }

  void group(Index row, Index begin) {
    Float mean;
    double share = 1.0 / static_cast<double>(params.width);
    if (params.kind == NormKind::Layer)
      mean = total(row, begin, [](Float v, Lanes) { return v; }) * share;
    // The variance around the mean and not a difference of moments, which
    // would cancel.
    Float squares = total(row, begin, [&](Float v, Lanes lanes) {
      if (params.kind == NormKind::Layer) {
        v = v - k.broadcast(mean, width);
        if (lanes.active != lanes.width)
          v = k.keep(v, lanes);
      }
      return v * v;
    });
    Float variance = squares * share + params.epsilon;
    Float inverse = k.constant(1.0) / k.sqrt(variance);
    k.chunks(params.width, width, [&](Index at, Lanes lanes) {
      Index column = begin + at;
      Float v = k.load(x, {row, column}, lanes);
      if (params.kind == NormKind::Layer)
        v = v - k.broadcast(mean, lanes.width);
      v = v * k.broadcast(inverse, lanes.width) * k.load(weight, {at}, lanes);
      if (bias)
        v = v + k.load(bias, {at}, lanes);
      k.store(v, y, {row, column}, lanes);
    });
  }
};
} // namespace

func::FuncOp KernelLibrary::norm(const NormParams &params) {
  KernelTypes types(module.getContext());
  StringRef kind = stringifyNormKind(params.kind);
  std::string name = (Twine("norm_") + kind + "_" + Twine(params.heads) + "x" +
                      Twine(params.width) + "_" + nameOf(params.epsilon) +
                      (params.bias ? "_bias" : ""))
                         .str();
  int64_t total = params.heads * params.width;
  SmallVector<Type> arguments{types.matrix(total), types.vector(params.width)};
  if (params.bias)
    arguments.push_back(types.vector(params.width));
  arguments.push_back(types.matrix(total));
  int64_t width = std::min<int64_t>(
      rowLanes(), static_cast<int64_t>(llvm::PowerOf2Ceil(params.width)));
  return define(name, arguments, [&](KernelBuilder &k, ValueRange args) {
    NormKernel kernel{k,       params,   width,      args[0],
                      args[1], Memory(), args.back()};
    if (params.bias)
      kernel.bias = args[2];
    kernel.build();
  });
}

} // namespace rshard::cpu
