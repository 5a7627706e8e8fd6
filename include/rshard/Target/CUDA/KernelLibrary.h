//===- KernelLibrary.h - the kernels for Hopper ------------------*- C++
//-*-===//
//
// Kernels are functions of one gpu.module, built directly in llvm, nvvm, arith
// and scf; docs/cuda-target.md says why. A library adds each to a module once
// per distinct tuple of parameters. What they have in common:
//
// - Matrices are row-major with rows one behind the other; `element` is bf16 or
//   f16. 0 rows are legal everywhere: the runtime launches no block for them.
// - Positions, row numbers and token ids are i32, and are trusted: the runtime
//   computes them (C4).
// - The grid depends on shapes alone, and a row's bits do not depend on the
//   grid (C9).
// - Outputs may be inputs only where said.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TARGET_CUDA_KERNELLIBRARY_H
#define RSHARD_TARGET_CUDA_KERNELLIBRARY_H

#include "RShard/RShard.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "rshard/Target/CUDA/LinearSchedule.h"
#include <optional>
#include <string>

namespace rshard::cuda {

class DeviceBuilder;

/// The gpu.module that holds the kernels of a program.
constexpr llvm::StringLiteral kernelsName = "kernels";

/// The first `heads` heads of `headSize` columns are turned by the angles of
/// their row's position, as KernelLibrary::rope does.
struct Rotation {
  int64_t heads = 0;
  int64_t headSize = 0;
};

/// y = activation(x w^T + bias) + residual for every row, accumulated in f32.
/// Several weights of one input are one weight, one below the other, and
/// several results. With `gated`, w holds the rows of a gate and an up matrix
/// in turn, in blocks of 8, and y = activation(gate) * up.
struct LinearParams {
  int64_t inputs = 0;                 ///< K
  llvm::SmallVector<int64_t> outputs; ///< columns of every y, in their order
  mlir::Type element;                 ///< of x, w and residual
  mlir::Type result;                  ///< of every y: element or f32
  std::optional<Activation> activation;
  bool bias = false; ///< one f32 for each row of w
  bool residual = false;
  bool gated = false;
  /// x is normalised: x / sqrt(mean of squares + this). (w holds the norm's
  /// scale.)
  std::optional<double> normEpsilon;
  /// With a norm: kernels for many rows are given what x's rows are multiplied
  /// with.
  bool factorsGiven = false;
  /// Kernels for many rows sum the squares of y's rows, for a norm behind. With
  /// a norm in front only if its factors are given.
  bool sumsSquares = false;
  /// If set, x is one row, the single partial of a merge, of this type: f32 or
  /// element. K is a multiple of 8.
  mlir::Type partial;
  /// Every result is whole heads; without bias, activation and residual.
  std::optional<Rotation> rotation;

  /// N, of w.
  int64_t weightRows() const;
};

/// Grouped-query attention of `queryHeads` heads that share `keyHeads`.
struct AttentionParams {
  int64_t queryHeads = 1;
  int64_t keyHeads = 1; ///< divides queryHeads
  int64_t headSize = 0;
  mlir::Type element; ///< of q, k and v
  mlir::Type result;  ///< of o: element or f32
  double scale = 1.0;
  double softCap = 0; ///< scores s become softCap * tanh(s / softCap); 0: none
};

/// What attention needs beside its arguments: so many f32, whose content does
/// not matter, and so many i32, which are 0 before the first launch and which
/// every launch leaves at 0. Launches that share them follow one another.
struct AttentionScratch {
  int64_t partials = 0, counters = 0;
};
AttentionScratch attentionScratch(const AttentionParams &params);

/// y = normalise(x) (* scale) (+ bias) over `heads` groups of `width` elements
/// a row; all groups share scale and bias, which are f32.
struct NormParams {
  NormKind kind = NormKind::RMS;
  int64_t heads = 1;
  int64_t width = 0;
  double epsilon = 1e-5;
  bool scale = true;
  bool bias = false;
  mlir::Type element;
};

/// y (+)= table[id] (+ constant, f32).
struct EmbedParams {
  int64_t width = 0;
  mlir::Type table;        ///< element of the table
  mlir::Type element;      ///< of y
  bool accumulate = false; ///< add to y instead of overwriting it
  bool constant = false;   ///< add one row that is the same for every token
};

class KernelLibrary {
public:
  /// The library's gpu.module is @kernels of `module`. `pipelined` is the
  /// schedule of products of many rows; null: the best one for each shape.
  explicit KernelLibrary(mlir::ModuleOp module,
                         const LinearSchedule *pipelined = nullptr);

  /// A kernel and the most rows for which it is the one to run.
  struct Variant {
    int64_t rows = 0;
    mlir::SymbolRefAttr kernel;
    bool rotates = false; ///< of a linear: it does its rotation
  };

  /// (x[?,K], w[N,K], bias[N] f32?, residual[?,N]?, position[?] i32?,
  /// table[?,d] f32?, y[?,N]...); y may be residual. position and table are
  /// those of a rotation, which some variants do not do, and then do not take.
  /// The variants are in ascending order of rows, the last one takes any
  /// number.
  ///
  /// With `normEpsilon` follows raw[?,K], which the variants for up to
  /// rowsNormalised rows read: they normalise raw, and x may be anything. The
  /// others take x, which is normalised; with `factorsGiven` those for more
  /// than rowsWithoutFactors rows read raw too, and factor[?] f32, which
  /// follows. With `sumsSquares` these variants write squares[?,N/64] f32 of y,
  /// which come last: of every row, a sum for each 64 columns.
  llvm::SmallVector<Variant> linear(const LinearParams &params);
  /// Up to so many rows, products normalise their inputs themselves. (The
  /// kernel for 16 has no registers left for it.)
  static constexpr int64_t rowsNormalised = 8;
  /// Up to so many rows, products neither sum squares nor take factors: beyond,
  /// all of them are pipelined.
  static constexpr int64_t rowsWithoutFactors = 256;
  /// Of squares: those of a panel in the epilogue.
  static constexpr int64_t columnsPerSum = 64;
  /// Whether a product of the norm's results can: root mean square over whole
  /// rows of bf16, in accesses of 16 bytes. (In f16 w * scale may overflow.)
  static bool canNormalise(const NormParams &params);
  /// Whether all kernels for more than rowsWithoutFactors rows are pipelined:
  /// these can take factors.
  bool pipelinesMany(const LinearParams &params) const;
  /// Whether they can sum the squares of the product's results too.
  bool canSumSquares(const LinearParams &params) const;
  /// The kernel of one row for the partial of `params`: (x, w, bias?,
  /// residual?, y..., o[?,K], source[1] i32). It reads row source[0] of o; x
  /// may be anything.
  mlir::SymbolRefAttr linearOfPartial(const LinearParams &params);
  /// Whether there is one: rows in accesses of 16 bytes, and no rotation.
  static bool canReadPartial(const LinearParams &params);
  /// The same with one schedule, for any number of rows; one without a
  /// pipeline where a pipeline cannot address the operands. Null if a rotation
  /// or a partial is asked for that the schedule cannot do.
  mlir::SymbolRefAttr linear(const LinearParams &params,
                             const LinearSchedule &schedule);

  /// (q[?,Hq*d], k[?,Hk*d], v[?,Hk*d], first[?] i32, last[?] i32, o[?,Hq*d],
  /// lse[?,Hq] f32, partials[?] f32, counters[?] i32, continues: i32,
  /// pool[?,Hq*d], source[?] i32). Row i of q is pool[source[i]]: the last
  /// variant reads q, those for up to 16 rows pool, and q may then be
  /// anything. Query i sees exactly the keys [first[i], last[i]); both lists
  /// ascend. With `continues` the result continues the partial that (o, lse)
  /// holds (C3), else it overwrites it. Rows that see no key: o = 0, lse =
  /// -inf, unchanged if `continues`. d is a multiple of 8, at most 256; scale
  /// is positive.
  ///
  /// Rows of k and v are initialised, seen or not: what is masked is multiplied
  /// by 0. The variants for up to 16 rows read nothing behind the greatest
  /// `last`, and their launch does not depend on the rows of k: one captured
  /// launch serves every length of a cache. Sizes of partials and counters:
  /// attentionScratch.
  llvm::SmallVector<Variant> attention(const AttentionParams &params);

  /// (x[?,H*W], scale[W]?, bias[W]?, y[?,H*W]); y may be x.
  mlir::SymbolRefAttr norm(const NormParams &params);

  /// (squares[?,W/64] f32, factor[?] f32): 1 / sqrt(mean of squares + epsilon)
  /// of rows of W elements, whose squares a linear has summed.
  mlir::SymbolRefAttr normFactors(int64_t width, double epsilon);

  /// (x[?,W], y[?,W]): y = activation(x), a copy without one; y may be x.
  mlir::SymbolRefAttr activation(int64_t width, std::optional<Activation> kind,
                                 mlir::Type element);

  /// (x[?,W], y[?,W]): y = x in another element type.
  mlir::SymbolRefAttr convert(int64_t width, mlir::Type from, mlir::Type to);

  /// (gate[?,W], up[?,W], y[?,W]): y = activation(gate) * up; y may be either.
  mlir::SymbolRefAttr gated(int64_t width, Activation kind, mlir::Type element);

  /// (a[?,W], b[?,W], y[?,W]); y may be either input.
  mlir::SymbolRefAttr add(int64_t width, mlir::Type element);

  /// (x[?,W], row[W] f32, y[?,W]): adds one row to every row; y may be x.
  mlir::SymbolRefAttr addRow(int64_t width, mlir::Type element);

  /// (x[?,H*d]..., position[?] i32, table[?,d] f32, y[?,H*d]...), one x and one
  /// y for every number of heads; row p of the table holds the d/2 cosines of
  /// position p, then its d/2 sines (C4). Each y may be its x.
  mlir::SymbolRefAttr rope(llvm::ArrayRef<int64_t> heads, int64_t headSize,
                           mlir::Type element);

  /// (id[?] i32, table[?,W], constant[W]?, y[?,W]).
  mlir::SymbolRefAttr embed(const EmbedParams &params);

  /// (x[?,total], y[?,W]): y = columns [first, first + W) of x.
  mlir::SymbolRefAttr columns(int64_t total, int64_t first, int64_t width,
                              mlir::Type element);

  /// (pool[?,W], source[?] i32, y[?,W]): y[i] = pool[source[i]] for every i
  /// below the size of source.
  mlir::SymbolRefAttr gather(int64_t width, mlir::Type element);

  /// (pool[?,W]..., source[?] i32, cache[?,W]..., row[?] i32), `count` pools
  /// and as many caches: cache[row[i]] = pool[source[i]] for every i below the
  /// size of source.
  mlir::SymbolRefAttr append(int64_t width, mlir::Type element, int64_t count);

  /// (o[?,H*d], lse[?,H] f32, begin[?] i32, source[?] i32, y[?,H*d]): row i
  /// merges the partials source[begin[i]], ..., source[begin[i+1]-1] in that
  /// order (C3). `partial` is the element of o, which is 0 where lse is -inf:
  /// a single partial is copied.
  mlir::SymbolRefAttr merge(int64_t heads, int64_t headSize, mlir::Type partial,
                            mlir::Type element);

private:
  /// When the blocks of the next kernel may come beside those of this one, to
  /// wait for its results. They cost it what they hold while they wait.
  enum class Overlap {
    AtTheEnd,  ///< as blocks of this one end
    FewBlocks, ///< at once if this one does not fill the multiprocessors
    AtOnce     ///< as soon as all blocks of this one have begun
  };

  /// How a kernel is launched.
  struct Launch {
    int64_t threads = 0;
    int64_t shared = 0;
    int64_t blocks = 1;
    int64_t resident = 0;
    int64_t cluster = 1; ///< blocks that reach each other's shared memory
    int64_t together =
        1; ///< blocks that fit a multiprocessor at once, at least
    Overlap overlap = Overlap::FewBlocks;
    bool waits = false; ///< `body` waits for earlier kernels, not its caller
    llvm::SmallVector<BlocksAttr> grid;
    llvm::SmallVector<mlir::Attribute> parameters;
  };
  /// The kernel of this name, built by `body` from its parameters unless the
  /// module has it already.
  mlir::SymbolRefAttr
  define(const std::string &name, const Launch &launch,
         llvm::function_ref<void(DeviceBuilder &, mlir::ValueRange)> body);

  /// The schedule of a choice: `pipelined`, if there is one, for many rows.
  const LinearSchedule &scheduleOf(const LinearChoice &choice) const;
  mlir::SymbolRefAttr pipelinedLinear(const std::string &name,
                                      const LinearParams &params,
                                      const LinearSchedule &schedule);
  mlir::SymbolRefAttr splitLinear(const std::string &name,
                                  const LinearParams &params,
                                  const LinearSchedule &schedule);
  mlir::SymbolRefAttr smallLinear(const std::string &name,
                                  const LinearParams &params,
                                  const LinearSchedule &schedule);

  /// (x[?,W]..., vector[W] f32?, y[?,W]): `body` of the elements of `inputs`
  /// matrices and the vector, at every place.
  mlir::SymbolRefAttr eachElement(
      const std::string &name, int64_t width, mlir::Type element,
      int64_t inputs, bool vector,
      llvm::function_ref<mlir::Value(DeviceBuilder &, mlir::ValueRange)> body);

  /// Attention of any number of rows, and that of a few (attention).
  mlir::SymbolRefAttr partialAttention(const AttentionParams &params);
  llvm::SmallVector<Variant> decodeAttention(const AttentionParams &params);

  mlir::Attribute pointer(int64_t argument);
  mlir::Attribute rows(int64_t argument);
  mlir::Attribute scalar(int64_t argument);
  BlocksAttr blocksOf(int64_t argument, int64_t per);
  SizeAttr size(int64_t factor, int64_t argument = -1);

  mlir::ModuleOp module;
  const LinearSchedule *pipelined;
  mlir::gpu::GPUModuleOp kernels;
};

/// bf16, f16 or f32, as names of kernels say it.
std::string elementName(mlir::Type element);
/// A number as the bits of its f32, likewise.
std::string bitsName(double number);

} // namespace rshard::cuda

#endif // RSHARD_TARGET_CUDA_KERNELLIBRARY_H
