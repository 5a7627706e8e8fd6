//===- KernelLibrary.h - the CPU kernels --------------------------*- C++
//-*-===//
//
// Kernels are private functions on memrefs, built directly in scf, vector,
// memref, arith and math; docs/cpu-target.md says why. A library adds each to a
// module once per distinct tuple of parameters. What they have in common:
//
// - Matrices are memref<?xW, strided<[W, 1], offset: ?>> and tables
// memref<?xi32,
//   strided<[1], offset: ?>>: a dynamic number of consecutive rows anywhere in
//   a buffer. Weights and vectors have the identity layout. 0 rows are legal
//   everywhere and touch nothing.
// - Pools, caches and tables may have more rows than are used: the row count of
//   a call is that of its output (or of the index list, where said).
// - Positions, row numbers and token ids are i32, and are trusted: the runtime
//   computes them (C4).
// - Everything runs in scf.parallel loops whose trip counts depend on shapes
//   alone, and no kernel lets one row's arithmetic depend on how many other
//   rows there are, except that attention has one form for few rows (C9).
// - Outputs may alias inputs only where said. Nothing is allocated; scratch is
// a
//   static tile on the stack.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TARGET_CPU_KERNELLIBRARY_H
#define RSHARD_TARGET_CPU_KERNELLIBRARY_H

#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "rshard/Target/CPU/TargetShape.h"
#include <cstdint>
#include <optional>
#include <string>

namespace rshard::cpu {

class KernelBuilder;

enum class ElementKind { F32, BF16 };

/// y = activation(x w + bias) + residual.
struct LinearParams {
  int64_t inputs = 0;  ///< K
  int64_t outputs = 0; ///< N
  ElementKind weight = ElementKind::F32;
  std::optional<Activation> activation = std::nullopt;
  bool bias = false;
  bool residual = false;
};

/// y = normalise(x) * weight (+ bias) over `heads` groups of `width` elements a
/// row; all groups share weight and bias.
struct NormParams {
  NormKind kind = NormKind::RMS;
  int64_t heads = 1;
  int64_t width = 0;
  double epsilon = 1e-5;
  bool bias = false;
};

/// y = activation(gate) * up.
struct GatedParams {
  int64_t width = 0;
  Activation activation = Activation::SiLU;
};

/// Half-rotation RoPE over `heads` heads of `headWidth` elements.
struct RopeParams {
  int64_t heads = 1;
  int64_t headWidth = 0; ///< even
};

/// y (+)= table[id] (+ constant).
struct EmbedParams {
  int64_t width = 0;
  ElementKind element = ElementKind::F32;
  bool accumulate = false; ///< add to y instead of overwriting it
  bool constant = false;   ///< add one row that is the same for every token
};

/// Grouped-query attention of `queryHeads` heads that share `keyHeads`.
struct AttentionParams {
  int64_t queryHeads = 1;
  int64_t keyHeads = 1; ///< divides queryHeads
  int64_t headWidth = 0;
  double scale = 1.0;
  double softCap =
      0.0; ///< scores s become softCap * tanh(s / softCap); 0: none
};

/// Creates kernels in one module for one CPU. Parameters come from a verified
/// program: widths are positive, keyHeads divides queryHeads.
class KernelLibrary {
public:
  KernelLibrary(mlir::ModuleOp module, const TargetShape &shape)
      : module(module), shape(shape) {}

  /// (x[?,K] f32, w[ceil(N/panel),K,panel], bias[N]?, residual[?,N]?, y[?,N]).
  /// Columns of the last panel beyond N are zero. y may be residual. A row's
  /// bits do not depend on the number of rows.
  mlir::func::FuncOp linear(const LinearParams &params);

  /// (x[?,heads*width], weight[width], bias[width]?, y[?,heads*width]); y may
  /// be x.
  mlir::func::FuncOp norm(const NormParams &params);

  /// (x[?,W], y[?,W]): y = activation(x), a copy without one; y may be x.
  mlir::func::FuncOp activation(int64_t width,
                                std::optional<Activation> activation);

  /// (gate[?,W], up[?,W], y[?,W]); y may be either input.
  mlir::func::FuncOp gated(const GatedParams &params);

  /// (a[?,W], b[?,W], y[?,W]); y may be either input.
  mlir::func::FuncOp add(int64_t width);

  /// (x[?,W], row[W], y[?,W]): adds the same row to every row; y may be x.
  mlir::func::FuncOp addRow(int64_t width);

  /// (x[?,H*d], position[?] i32, table[?,d], y[?,H*d]); row p of the table
  /// holds the d/2 cosines of position p, then its d/2 sines. y may be x.
  mlir::func::FuncOp rope(const RopeParams &params);

  /// (id[?] i32, table[?,W], constant[W]?, y[?,W]).
  mlir::func::FuncOp embed(const EmbedParams &params);

  /// (x[?,total], y[?,W]): y = columns [first, first + W) of x.
  mlir::func::FuncOp columns(int64_t total, int64_t first, int64_t width);

  /// (pool[?,W], source[?] i32, y[?,W]): y[i] = pool[source[i]] for every i
  /// below the size of source.
  mlir::func::FuncOp gather(int64_t width);

  /// (pool[?,W], source[?] i32, cache[?,W], row[?] i32):
  /// cache[row[i]] = pool[source[i]] for every i below the size of source.
  mlir::func::FuncOp append(int64_t width);

  /// (o[?,H*d], lse[?,H], begin[?] i32, source[?] i32, y[?,H*d]): row i merges
  /// the partials source[begin[i] .. begin[i+1]) in that order (C3).
  mlir::func::FuncOp merge(int64_t heads, int64_t headWidth);

  /// (q pool[?,Hq*d], source[?] i32, k[?,Hk*d], v[?,Hk*d], first key[?] i32,
  /// last key[?] i32, o[?,Hq*d], lse[?,Hq], first: i1). Query i, for every i
  /// below the size of source, is pool row source[i]; it sees exactly the keys
  /// [first key[i], last key[i]), and both lists ascend (C4). Rows of k and v
  /// before the greatest last key are initialised, seen or not: what is masked
  /// is multiplied by 0. Those behind it are not read. If `first`, (o, lse) is
  /// overwritten, else the partial continues the one that is there (C3). Rows
  /// that see no key: o = 0, lse = -inf, if `first`, else unchanged.
  mlir::func::FuncOp attention(const AttentionParams &params);

private:
  /// The function "cpu.`parameters`", built by `body` from its arguments unless
  /// the module has it already.
  mlir::func::FuncOp
  define(const std::string &parameters, llvm::ArrayRef<mlir::Type> arguments,
         llvm::function_ref<void(KernelBuilder &, mlir::ValueRange)> body);

  /// Lanes that row-wise kernels handle at a time: four registers.
  int64_t rowLanes() const { return 4 * shape.lanes; }

  mlir::ModuleOp module;
  TargetShape shape;
};

} // namespace rshard::cpu

#endif // RSHARD_TARGET_CPU_KERNELLIBRARY_H
