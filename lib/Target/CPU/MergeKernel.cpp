//===- MergeKernel.cpp - exact merge of partial attention (C3) ------------===//

#include "KernelTypes.h"
#include "llvm/ADT/Twine.h"
#include <limits>

using namespace mlir;

namespace rshard::cpu {

namespace {
struct MergeKernel {
  KernelBuilder &k;
  int64_t heads, headWidth, lanes;
  Memory o, lse, begins, sources, y;

  void build() {
    k.parallel({k.rows(y)}, [&](At at) {
      Index row = at[0];
      Index begin = k.loadIndex(begins, {row});
      Index end = k.loadIndex(begins, {row + 1});
      k.forEach(k.index(0), k.index(heads), 1,
                [&](Index head) { mergeHead(row, head, begin, end); });
    });
  }

  Float partialOf(Index at, Index head) {
    return k.load(lse, {k.loadIndex(sources, {at}), head});
  }

  void mergeHead(Index row, Index head, Index begin, Index end) {
    Float infinite = k.constant(-std::numeric_limits<double>::infinity());
    Float top = k.fold(begin, end, 1, {infinite},
                       [&](Index at, KernelBuilder::Carried &value) {
                         value[0] = k.max(value[0], partialOf(at, head));
                       })[0];
    // If no partial saw a key, subtract 0 instead of -inf: all weights become
    // exp(-inf) = 0, without a NaN on the way.
    Float shift = k.select(top == infinite, k.constant(0.0), top);
    auto weightOf = [&](Index at) {
      return k.exp(partialOf(at, head) - shift);
    };
    Float total = k.fold(begin, end, 1, {k.constant(0.0)},
                         [&](Index at, KernelBuilder::Carried &value) {
                           value[0] = value[0] + weightOf(at);
                         })[0];
    Float inverse = k.select(total == k.constant(0.0), k.constant(0.0),
                             k.constant(1.0) / total);
    k.chunks(headWidth, lanes, [&](Index at, Lanes lanes) {
      Index column = head * headWidth + at;
      Float sum =
          k.fold(begin, end, 1, {k.constant(0.0, lanes.width)},
                 [&](Index from, KernelBuilder::Carried &value) {
                   Float part =
                       k.load(o, {k.loadIndex(sources, {from}), column}, lanes);
                   value[0] = k.fma(k.broadcast(weightOf(from), lanes.width),
                                    part, value[0]);
                 })[0];
      k.store(sum * k.broadcast(inverse, lanes.width), y, {row, column}, lanes);
    });
  }
};
} // namespace

func::FuncOp KernelLibrary::merge(int64_t heads, int64_t headWidth) {
  KernelTypes types(module.getContext());
  Type matrix = types.matrix(heads * headWidth), table = types.table();
  std::string name =
      (Twine("merge_") + Twine(heads) + "x" + Twine(headWidth)).str();
  return define(name, {matrix, types.matrix(heads), table, table, matrix},
                [&](KernelBuilder &k, ValueRange args) {
                  MergeKernel{k,       heads,   headWidth, rowLanes(), args[0],
                              args[1], args[2], args[3],   args[4]}
                      .build();
                });
}

} // namespace rshard::cpu
