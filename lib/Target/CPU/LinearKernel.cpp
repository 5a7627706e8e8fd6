//===- LinearKernel.cpp - y = activation(x w + bias) + residual -----------===//
//
// One task computes a block of rows against one panel of packed weights. The
// accumulators of the block live in a tile on the stack; K is cut into blocks
// so that the panel's share stays in the cache while all rows pass over it. The
// inner kernel keeps `rows` x `panel` accumulators in registers and does one
// fused multiply-add for each at every k, in ascending k: a row gets the same
// bits in every block, which C9 and batched steps rely on.
//
//===----------------------------------------------------------------------===//

#include "KernelTypes.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace rshard::cpu {

namespace {
struct LinearKernel {
  static constexpr int64_t prefetchBytes = 4096;

  KernelBuilder &k;
  const LinearParams &params;
  const TargetShape &shape;
  Memory x, weight, bias, residual, y;

  void build() {
    Index count = k.rows(y);
    int64_t panels = llvm::divideCeil(params.outputs, shape.panel);
    k.parallel({k.index(panels), k.ceilDiv(count, shape.rowBlock)},
               [&](At at) { task(at[0], at[1] * shape.rowBlock, count); });
  }

  void task(Index panel, Index begin, Index count) {
    Index rows = k.min(count - begin, k.index(shape.rowBlock));
    Memory sums = k.tile({shape.rowBlock, shape.panel});
    Index none = k.index(0);
    Float zero = k.constant(0.0, shape.panel);
    k.forEach(none, rows, 1, [&](Index row) {
      k.store(zero, sums, {row, none}, shape.panel);
    });
    Index depth = k.index(params.inputs);
    k.forEach(none, depth, shape.depth, [&](Index from) {
      Index to = k.min(from + shape.depth, depth);
      k.forEach(none, rows, shape.rows, [&](Index row) {
        k.forCount(k.min(rows - row, k.index(shape.rows)), shape.rows,
                   [&](int64_t height) {
                     accumulate(sums, panel, begin, row, height, from, to);
                   });
      });
    });
    finish(sums, panel, begin, rows);
  }

  /// sums[row .. row+height) += x[.., from .. to) * panel[from .. to)
  void accumulate(Memory sums, Index panel, Index begin, Index row,
                  int64_t height, Index from, Index to) {
    Index none = k.index(0);
    SmallVector<Index> local, global;
    KernelBuilder::Carried init;
    for (int64_t r = 0; r < height; ++r) {
      local.push_back(row + r);
      global.push_back(begin + local.back());
      init.push_back(k.load(sums, {local.back(), none}, shape.panel));
    }
    auto result = k.fold(
        from, to, 1, init, [&](Index depth, KernelBuilder::Carried &sum) {
          if (height < shape.rows)
            prefetch(panel, depth);
          Float w = k.load(weight, {panel, depth, none}, shape.panel);
          for (int64_t r = 0; r < height; ++r) {
            Float xr = k.load(x, {global[r], depth});
            sum[r] = k.fma(k.broadcast(xr, shape.panel), w, sum[r]);
          }
        });
    for (int64_t r = 0; r < height; ++r)
      k.store(result[r], sums, {local[r], none}, shape.panel);
  }

  /// With few rows the weights come from memory at the speed at which they are
  /// asked for, and the hardware's prefetch stops at every page: 184 -> 113 us
  /// for 1 row and 576 x 1536 in bf16. Full tiles lose a few percent by it.
  void prefetch(Index panel, Index depth) {
    constexpr int64_t line = 64;
    int64_t bytes = params.weight == ElementKind::BF16 ? 2 : 4;
    Index ahead = k.min(depth + prefetchBytes / (shape.panel * bytes),
                        k.index(params.inputs - 1));
    for (int64_t at = 0; at < shape.panel; at += line / bytes)
      k.prefetch(weight, {panel, ahead, k.index(at)});
  }

  /// The fused tail, and the only place where a ragged last panel matters.
  void finish(Memory sums, Index panel, Index begin, Index rows) {
    int64_t ragged = params.outputs % shape.panel;
    auto write = [&](Lanes lanes) {
      k.forEach(k.index(0), rows, 1,
                [&](Index row) { writeRow(sums, panel, begin, row, lanes); });
    };
    Index last = k.index(params.outputs / shape.panel);
    if (!ragged)
      write(shape.panel);
    else if (params.outputs < shape.panel)
      write({shape.panel, ragged});
    else
      k.when(
          panel < last, [&] { write(shape.panel); },
          [&] { write({shape.panel, ragged}); });
  }

  void writeRow(Memory sums, Index panel, Index begin, Index row, Lanes lanes) {
    Index column = panel * shape.panel, global = begin + row;
    Float value = k.load(sums, {row, k.index(0)}, shape.panel);
    if (bias)
      value = value + k.load(bias, {column}, lanes);
    value = activate(params.activation, value);
    if (residual)
      value = value + k.load(residual, {global, column}, lanes);
    k.store(value, y, {global, column}, lanes);
  }
};
} // namespace

func::FuncOp KernelLibrary::linear(const LinearParams &params) {
  KernelTypes types(module.getContext());
  std::string name =
      (Twine("linear_") + Twine(params.inputs) + "x" + Twine(params.outputs) +
       "_" + nameOf(params.weight) + "_" + nameOf(params.activation) +
       (params.bias ? "_bias" : "") + (params.residual ? "_residual" : ""))
          .str();
  int64_t panels = llvm::divideCeil(params.outputs, shape.panel);
  SmallVector<Type> arguments{
      types.matrix(params.inputs),
      MemRefType::get({panels, params.inputs, shape.panel},
                      types.element(params.weight))};
  if (params.bias)
    arguments.push_back(types.vector(params.outputs));
  if (params.residual)
    arguments.push_back(types.matrix(params.outputs));
  arguments.push_back(types.matrix(params.outputs));
  return define(name, arguments, [&](KernelBuilder &k, ValueRange args) {
    LinearKernel kernel{k, params, shape, args[0], args[1], {}, {}, {}};
    size_t next = 2;
    if (params.bias)
      kernel.bias = args[next++];
    if (params.residual)
      kernel.residual = args[next++];
    kernel.y = args[next];
    kernel.build();
  });
}

} // namespace rshard::cpu
