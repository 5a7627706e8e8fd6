//===- KernelBuilder.h - typed expressions over scf and vector ---*- C++
//-*-===//
//
// A thin layer over OpBuilder in which a kernel reads like its algorithm:
// values carry their kind (index, i32, f32, i1; scalar or 1-D vector) in their
// C++ type, operators build arith, and loops take their body as a lambda.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CPU_KERNELBUILDER_H
#define RSHARD_LIB_TARGET_CPU_KERNELBUILDER_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"

namespace rshard::cpu {

class KernelBuilder;

enum class Kind { Index, Int, Float, Bool };

/// An SSA value of a known kind, and the builder that continues it.
template <Kind K> class Typed {
public:
  Typed() = default;
  Typed(KernelBuilder &kernel, mlir::Value value)
      : kernel(&kernel), value(value) {}
  operator mlir::Value() const { return value; }
  mlir::Type getType() const { return value.getType(); }
  KernelBuilder &builder() const { return *kernel; }

private:
  KernelBuilder *kernel = nullptr;
  mlir::Value value;
};

using Index = Typed<Kind::Index>;
using Int = Typed<Kind::Int>;
using Float = Typed<Kind::Float>;
using Bool = Typed<Kind::Bool>;

/// A vector of `width` lanes of which only the first `active` exist in memory:
/// loads give zero in the others and stores leave them out. Ragged sizes need
/// no other treatment.
struct Lanes {
  int64_t width;
  int64_t active;
  Lanes(int64_t width) : width(width), active(width) {}
  Lanes(int64_t width, int64_t active) : width(width), active(active) {}
};

/// A memref of any rank.
using Memory = mlir::Value;
using At = llvm::ArrayRef<Index>;

class KernelBuilder {
public:
  KernelBuilder(mlir::OpBuilder &builder, mlir::Location loc)
      : ops(builder), loc(loc) {}

  mlir::OpBuilder &ops;
  mlir::Location loc;

  // Constants. A width of 0 means a scalar.
  Index index(int64_t value);
  Float constant(double value, int64_t width = 0);
  /// A constant of the type of `like`.
  Float constantLike(double value, Float like);

  // Memory.
  Index rows(Memory memory);
  Float load(Memory memory, At at);
  Float load(Memory memory, At at, Lanes lanes);
  Int loadInt(Memory memory, At at);
  /// An i32 of a table, widened to an index.
  Index loadIndex(Memory memory, At at);
  void store(Float value, Memory memory, At at);
  void store(Float value, Memory memory, At at, Lanes lanes);
  /// Asks for the cache line of an element that will be read soon.
  void prefetch(Memory memory, At at);
  /// Scratch of the current task, on its stack.
  Memory tile(llvm::ArrayRef<int64_t> shape);

  // Conversions.
  Float broadcast(Float scalar, int64_t width);
  Int broadcast(Int scalar, int64_t width);
  /// first, first + 1, ... in i32.
  Int consecutive(Index first, int64_t width);

  // Control.
  using Body = llvm::function_ref<void(Index)>;
  void forEach(Index begin, Index end, int64_t step, Body body);
  /// A loop that carries values; the body replaces them.
  using Carried = llvm::SmallVector<Float, 8>;
  Carried fold(Index begin, Index end, int64_t step, Carried init,
               llvm::function_ref<void(Index, Carried &)> body);
  /// A threaded loop nest over [0, extent) in every dimension.
  void parallel(At extents, llvm::function_ref<void(At)> body);
  void when(Bool condition, llvm::function_ref<void()> then,
            llvm::function_ref<void()> otherwise = nullptr);
  /// Runs body(c) for the c in [1, last] that `value` has: code for small row
  /// counts is written once and generated for each.
  void forCount(Index value, int64_t last,
                llvm::function_ref<void(int64_t)> body);
  /// Covers a static `size` by full vectors of `width` (a loop if there are
  /// several) and one ragged one.
  void chunks(int64_t size, int64_t width,
              llvm::function_ref<void(Index, Lanes)> body);
  /// The same, unrolled: for bodies that keep every chunk in registers.
  static llvm::SmallVector<std::pair<int64_t, Lanes>> cover(int64_t size,
                                                            int64_t width);

  // Arithmetic that has no operator. The result of fma is rounded once.
  Float fma(Float a, Float b, Float c);
  Float exp(Float x);
  Float log(Float x);
  Float tanh(Float x);
  Float erf(Float x);
  Float sqrt(Float x);
  Float max(Float a, Float b);
  Float select(Bool condition, Float yes, Float no);
  Index select(Bool condition, Index yes, Index no);
  /// `value` with zero in the lanes that are not active.
  Float keep(Float value, Lanes lanes);
  Float keep(Float value, Bool where);
  Index min(Index a, Index b);
  Index max(Index a, Index b);
  Index ceilDiv(Index a, int64_t b);
  /// Reductions over the lanes of a vector, in an order that the target fixes.
  Float sum(Float vector);
  Float maximum(Float vector);
  /// Transposes n vectors of n lanes, n a power of two, in log2(n) rounds of
  /// two-operand shuffles.
  llvm::SmallVector<Float> transpose(llvm::ArrayRef<Float> rows);

private:
  mlir::Value mask(Lanes lanes);
};

int64_t widthOf(mlir::Value value);

Index operator+(Index a, Index b);
Index operator-(Index a, Index b);
Index operator*(Index a, Index b);
Index operator/(Index a, Index b);
Index operator%(Index a, Index b);
Index operator+(Index a, int64_t b);
Index operator-(Index a, int64_t b);
Index operator*(Index a, int64_t b);
Index operator/(Index a, int64_t b);
Index operator%(Index a, int64_t b);
Bool operator<(Index a, Index b);
Bool operator<=(Index a, Index b);
Bool operator==(Index a, Index b);
Bool operator<(Int a, Int b);
Bool operator<=(Int a, Int b);
Float operator+(Float a, Float b);
Float operator-(Float a, Float b);
Float operator*(Float a, Float b);
Float operator/(Float a, Float b);
Float operator*(Float a, double b);
Float operator+(Float a, double b);
Float operator-(Float a);
Bool operator<(Float a, Float b);
Bool operator==(Float a, Float b);
Bool operator&(Bool a, Bool b);

} // namespace rshard::cpu

#endif // RSHARD_LIB_TARGET_CPU_KERNELBUILDER_H
