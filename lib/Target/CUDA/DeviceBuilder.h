//===- DeviceBuilder.h - typed expressions of one GPU thread -----*- C++
//-*-===//
//
// A thin layer over OpBuilder in which a kernel reads like its algorithm:
// values carry their kind in their C++ type, operators build arith, loops take
// their body as a lambda. It knows scalars, control flow, memory and the warp;
// what Hopper adds is in AsyncCopy.h and Wgmma.h.
//
// The operations are those of the llvm, nvvm, arith and scf dialects, on
// `llvm.func`: gpu.func refuses grid-constant parameters, which tensor maps
// are.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_TARGET_CUDA_DEVICEBUILDER_H
#define RSHARD_LIB_TARGET_CUDA_DEVICEBUILDER_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"

namespace rshard::cuda {

class DeviceBuilder;

/// exp and log by the hardware's powers of 2.
constexpr double log2e = 1.4426950408889634, ln2 = 0.6931471805599453;

/// i32, i64, f32, i1, and an address in global memory. Addresses in shared
/// memory are Ints: 32-bit numbers in its window.
enum class Kind { Int, Long, Float, Bool, Global };

/// An SSA value of a known kind, and the builder that continues it.
template <Kind K> class Typed {
public:
  Typed() = default;
  Typed(DeviceBuilder &kernel, mlir::Value value)
      : kernel(&kernel), value(value) {}
  operator mlir::Value() const { return value; }
  mlir::Type getType() const { return value.getType(); }
  DeviceBuilder &builder() const { return *kernel; }

private:
  DeviceBuilder *kernel = nullptr;
  mlir::Value value;
};

using Int = Typed<Kind::Int>;
using Long = Typed<Kind::Long>;
using Float = Typed<Kind::Float>;
using Bool = Typed<Kind::Bool>;
using Global = Typed<Kind::Global>;

/// Values that a loop carries or a branch gives, of any kind.
using Values = llvm::SmallVector<mlir::Value>;

/// An operand of inline PTX and its constraint: "r", "l", "f", or the number of
/// the result that it is tied to.
struct AsmOperand {
  mlir::Value value;
  std::string constraint;
};

class DeviceBuilder {
public:
  DeviceBuilder(mlir::OpBuilder &ops, mlir::Location loc)
      : ops(ops), loc(loc) {}

  mlir::OpBuilder &ops;
  mlir::Location loc;

  // Types.
  mlir::Type i32() { return ops.getI32Type(); }
  mlir::Type i64() { return ops.getI64Type(); }
  mlir::Type f32() { return ops.getF32Type(); }

  // Constants and undefined values.
  Int integer(int64_t value);
  Long longInteger(int64_t value);
  Float constant(double value);
  Bool boolean(bool value);
  Float undefined();

  // Where this thread is. `warp` is the same register for the whole warp.
  Int thread();
  Int lane();
  Int warp();
  Int block();
  Int blocks();

  // Views of a value that is known to be of this kind.
  Int asInt(mlir::Value value) { return {*this, value}; }
  Float asFloat(mlir::Value value) { return {*this, value}; }
  Global asGlobal(mlir::Value value) { return {*this, value}; }

  // Conversions. `widen` takes unsigned numbers.
  Long widen(Int value);
  Int widen(Bool value);
  Int truncate(Long value);
  Float toFloat(Int value);
  /// A bf16 or f16, widened, and back, rounded to nearest even.
  Float convert(mlir::Value value);
  mlir::Value convert(Float value, mlir::Type element);
  Float asBits(Int value);
  Int asBits(Float value);
  /// Two f32 rounded to nearest even in one register, `low` in its lower half;
  /// `element` is bf16 or f16.
  Int pack(Float low, Float high, mlir::Type element);
  /// The halves of such a register, lower first.
  std::pair<Float, Float> unpack(Int packed, mlir::Type element);

  /// Four of the eight bytes of `low` and `high`, which the digits of
  /// `selector` number from 0 to 7 (PTX ISA, prmt). It stays where it is built:
  /// in front of the branches that need it, it would wait there for its loads.
  Int permuteBytes(Int low, Int high, int64_t selector);

  // Arithmetic that has no operator. Approximations are the hardware's: at most
  // 2 ulp (PTX ISA, ex2, lg2, rcp, rsqrt .approx.ftz.f32).
  Float fma(Float a, Float b, Float c);
  Float max(Float a, Float b);
  Float exp2(Float x);
  Float log2(Float x);
  Float reciprocal(Float x);
  Float reciprocalSqrt(Float x);
  Int min(Int a, Int b);
  Int max(Int a, Int b);
  Int minUnsigned(Int a, Int b);
  Int ceilDiv(Int a, int64_t b);
  Int select(Bool condition, Int yes, Int no);
  Float select(Bool condition, Float yes, Float no);
  /// The same by a bit of a mask, in one test and one selection.
  Float selectByBit(Int mask, int64_t bit, Float yes, Float no);

  // Control.
  Values loop(Int begin, Int end, Int step, mlir::ValueRange init,
              llvm::function_ref<Values(Int, mlir::ValueRange)> body);
  void loop(Int begin, Int end, Int step, llvm::function_ref<void(Int)> body);
  /// While `condition` of the carried values holds.
  Values loopWhile(mlir::ValueRange init,
                   llvm::function_ref<Bool(mlir::ValueRange)> condition,
                   llvm::function_ref<Values(mlir::ValueRange)> body);
  void when(Bool condition, llvm::function_ref<void()> then,
            llvm::function_ref<void()> otherwise = nullptr);
  Values choose(Bool condition, mlir::TypeRange types,
                llvm::function_ref<Values()> then,
                llvm::function_ref<Values()> otherwise);

  // Kernels overlap (docs/cuda-target.md).
  /// Nothing that a kernel writes is read, and nothing is written, before this:
  /// returns when all earlier kernels have ended and what they wrote is seen.
  void waitForEarlierKernels();
  /// Lets the next kernel's blocks come to where they wait, once every block of
  /// this kernel has said so or ended.
  void letNextKernelStart();

  // Memory. Offsets count elements. `constant` promises that no kernel ever
  // writes there: such loads may move in front of waitForEarlierKernels().
  Global at(Global base, Long offset, mlir::Type element);
  mlir::Value load(mlir::Type type, Global from, bool constant = false);
  Int loadInt(Global base, Int index, bool constant = false);
  Float loadFloat(Global base, Int index, bool constant = false);
  void store(mlir::Value value, Global to);
  /// Adds to a number that all blocks share; what it was before. Orders
  /// nothing.
  Int atomicAdd(Global to, Int value);
  /// The same, and this thread's earlier accesses, and those that it knows of
  /// by a barrier, are seen by who adds later, and theirs by its later ones.
  Int atomicAddInOrder(Global to, Int value);
  mlir::Value loadShared(mlir::Type type, Int address);
  void storeShared(mlir::Value value, Int address);
  /// From the shared memory of block number `block` of the cluster.
  mlir::Value loadCluster(mlir::Type type, Int address, Int block);
  /// The beginning of the kernel's dynamic shared memory, 1024-byte aligned.
  Int sharedMemory();
  mlir::Value sharedPointer(Int address);
  /// Vectors of 16 bytes and the like: element i.
  mlir::Value extract(mlir::Value vector, int64_t index);
  mlir::Value combine(mlir::ValueRange elements);

  // The warp and the block.
  /// The first lane's value, in a register that is the same for the warp.
  Int uniform(Int value);
  Float shuffleXor(Float value, int64_t mask);
  /// Over the 32 lanes, in a tree that is the same for every lane.
  Float warpSum(Float value);
  Float warpMax(Float value);
  /// True in one lane of the warp.
  Bool elect();
  void syncWarp();
  void syncBlock();
  /// All threads of the cluster's blocks; orders their accesses to the shared
  /// memory of one another.
  void syncCluster();
  /// Barrier `id` of the block, for `threads` of its threads.
  void syncNamed(Int id, int64_t threads);
  void arriveNamed(Int id, int64_t threads);

  /// Inline PTX with side effects; `memory` says that it also orders memory.
  Values inlineAsm(const std::string &text, mlir::TypeRange results,
                   llvm::ArrayRef<AsmOperand> operands, bool memory);
};

Int operator+(Int a, Int b);
Int operator-(Int a, Int b);
Int operator*(Int a, Int b);
Int operator/(Int a, Int b); ///< unsigned
Int operator%(Int a, Int b); ///< unsigned
Int operator&(Int a, Int b);
Int operator|(Int a, Int b);
Int operator^(Int a, Int b);
Int operator+(Int a, int64_t b);
Int operator-(Int a, int64_t b);
Int operator*(Int a, int64_t b);
Int operator/(Int a, int64_t b);
Int operator%(Int a, int64_t b);
Int operator&(Int a, int64_t b);
Int operator^(Int a, int64_t b);
Int operator<<(Int a, Int b); ///< b below 32
Int operator<<(Int a, int64_t b);
Int operator>>(Int a, int64_t b); ///< unsigned
Bool operator<(Int a, Int b);     ///< signed, like all comparisons
Bool operator<=(Int a, Int b);
Bool operator>(Int a, Int b);
Bool operator==(Int a, Int b);
Bool operator!=(Int a, Int b);
Bool operator<(Int a, int64_t b);
Bool operator>(Int a, int64_t b);
Bool operator==(Int a, int64_t b);
Bool operator!=(Int a, int64_t b);
Long operator+(Long a, Long b);
Long operator*(Long a, Long b);
Long operator+(Long a, int64_t b);
Long operator*(Long a, int64_t b);
Long operator|(Long a, int64_t b);
Float operator+(Float a, Float b);
Float operator-(Float a, Float b);
Float operator*(Float a, Float b);
Float operator*(Float a, double b);
Float operator+(Float a, double b);
Float operator-(Float a);
Bool operator==(Float a, Float b);
Bool operator>=(Float a, Float b); ///< false for NaN
Bool operator&(Bool a, Bool b);
Bool operator|(Bool a, Bool b);

/// a >= b, and true if either is NaN.
Bool notLess(Float a, Float b);

} // namespace rshard::cuda

#endif // RSHARD_LIB_TARGET_CUDA_DEVICEBUILDER_H
