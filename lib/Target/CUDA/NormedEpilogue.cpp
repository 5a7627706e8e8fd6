//===- NormedEpilogue.cpp - norms between two products --------------------===//
//
// The product in front of a norm has panels of the norm's input in registers
// and sums their squares. From these sums a small kernel (normFactors) finds a
// factor for every row, and the product behind applies it to what it has
// accumulated. (Found there, from the sums, it costs the product 2 %.)
//
//===----------------------------------------------------------------------===//

#include "LinearEpilogue.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace rshard::cuda {

void LinearEpilogue::storeSquares(DeviceBuilder &k, int64_t panel,
                                  std::array<Float, 2> squares) {
  int64_t width = params.outputs.front();
  for (Float &sum : squares)
    for (int64_t mask : {1, 2})
      sum = sum + k.shuffleXor(sum, mask);
  Int at = panelColumn(panel), firstRow = panelRow(panel) + (k.lane() >> 2);
  k.when((k.lane() & 3) == 0, [&] {
    for (auto [half, sum] : llvm::enumerate(squares)) {
      Int to = firstRow + 8 * static_cast<int64_t>(half);
      k.when((to < operands.rows) & (at < width), [&, sum = sum] {
        Long place = k.widen(to) * (width / KernelLibrary::columnsPerSum) +
                     k.widen(at / KernelLibrary::columnsPerSum);
        k.store(sum, k.at(operands.squares, place, k.f32()));
      });
    }
  });
}

void LinearEpilogue::applyFactors(DeviceBuilder &k,
                                  MutableArrayRef<Value> accumulators) {
  size_t perBlock = accumulators.size() / static_cast<size_t>(shape.blocks);
  SmallVector<Float> factors; // of this thread's two rows of every block
  for (int64_t i = 0; i != 2 * shape.blocks; ++i)
    factors.push_back(k.loadFloat(operands.factors, threadRow(k, i)));
  // Two neighbours of the first row, then of the second.
  for (auto [i, sum] : llvm::enumerate(accumulators))
    sum = k.asFloat(sum) * factors[2 * (i / perBlock) + i / 2 % 2];
}

} // namespace rshard::cuda
