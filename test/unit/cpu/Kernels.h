//===- Kernels.h - compiles kernels and calls them ---------------*- C++
//-*-===//

#ifndef RSHARD_TEST_UNIT_CPU_KERNELS_H
#define RSHARD_TEST_UNIT_CPU_KERNELS_H

#include "SanitizedBuild.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "rshard/Target/CPU/KernelLibrary.h"
#include "rshard/Target/Host/SharedObject.h"
#include "rshard/runtime/ABI.h"
#include <bit>
#include <cstdint>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace rshard::cpu::test {

/// Threads of rshard_parallel_for, which loadCode gives to the code.
void setThreads(int count);

/// Loads a shared object and fills its table: what it may call beside
/// rshard_parallel_for is in `imports`. Returns dlopen's handle.
void *loadCode(llvm::ArrayRef<char> code, rshard_import_table imports);

/// A memref as generated code sees it.
template <typename T, int Rank> struct Descriptor {
  T *allocated, *aligned;
  int64_t offset = 0, sizes[Rank], strides[Rank];
};

/// Elements between guards that must stay as they are. Under the address
/// sanitizer its red zones are the guards.
template <typename T> class Guarded {
public:
  explicit Guarded(size_t size) : cells(size + 2 * guard, canary()) {}
  T *data() { return cells.data() + guard; }
  const T *data() const { return cells.data() + guard; }
  size_t size() const { return cells.size() - 2 * guard; }
  bool intact() const {
    for (size_t i = 0; i < guard; ++i)
      if (std::memcmp(&cells[i], &reference, sizeof(T)) ||
          std::memcmp(&cells[cells.size() - 1 - i], &reference, sizeof(T)))
        return false;
    return true;
  }

private:
  static T canary() {
    T value;
    std::memset(&value, 0x5a, sizeof(T));
    return value;
  }
  size_t guard = rshard::test::isSanitized() ? 0 : 80;
  T reference = canary();
  std::vector<T> cells;
};

/// Row-major [rows, width].
template <typename T> class Matrix {
public:
  Matrix(int64_t rows, int64_t width, T value = T())
      : rows(rows), width(width), cells(rows * width) {
    std::fill_n(cells.data(), cells.size(), value);
  }
  T &operator()(int64_t row, int64_t column) {
    return cells.data()[row * width + column];
  }
  const T &operator()(int64_t row, int64_t column) const {
    return cells.data()[row * width + column];
  }
  T *data() { return cells.data(); }
  size_t size() const { return cells.size(); }
  bool intact() const { return cells.intact(); }
  Descriptor<T, 2> view() {
    return {cells.data(), cells.data(), 0, {rows, width}, {width, 1}};
  }
  /// The rows [begin, begin + count), by the descriptor's offset.
  Descriptor<T, 2> view(int64_t begin, int64_t count) {
    return {
        cells.data(), cells.data(), begin * width, {count, width}, {width, 1}};
  }
  /// All elements as one vector.
  Descriptor<T, 1> flat() {
    return {cells.data(),
            cells.data(),
            0,
            {static_cast<int64_t>(cells.size())},
            {1}};
  }
  bool sameBits(const Matrix &other) const {
    return size() == other.size() &&
           (size() == 0 ||
            !std::memcmp(cells.data(), other.cells.data(), size() * sizeof(T)));
  }
  const int64_t rows, width;

private:
  Guarded<T> cells;
};

using Table = std::vector<int32_t>;
inline Descriptor<int32_t, 1> view(Table &table) {
  return {
      table.data(), table.data(), 0, {static_cast<int64_t>(table.size())}, {1}};
}

/// bf16 as storage.
struct BFloat {
  uint16_t bits = 0;
  float value() const {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
  static BFloat truncated(float value) {
    return {static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16)};
  }
};

/// Random matrices, the same in every run.
class Random {
public:
  explicit Random(unsigned seed) : engine(seed) {}
  float normal() { return distribution(engine); }
  int64_t below(int64_t bound) {
    return static_cast<int64_t>(engine() % static_cast<uint64_t>(bound));
  }
  Matrix<float> matrix(int64_t rows, int64_t width) {
    Matrix<float> result(rows, width);
    for (size_t i = 0; i < result.size(); ++i)
      result.data()[i] = normal();
    return result;
  }

private:
  std::mt19937_64 engine;
  std::normal_distribution<float> distribution;
};

/// A module of kernels, compiled for one CPU and loaded into this process.
class Kernels {
public:
  explicit Kernels(const std::string &cpu);
  ~Kernels();

  KernelLibrary &library() { return *kernels; }
  TargetShape shape() const { return TargetShape(target); }
  /// Makes `kernel` callable under its own name.
  void add(mlir::func::FuncOp kernel);
  /// Lowers, emits and loads all kernels.
  void load();

  /// Calls a kernel: memrefs as descriptors, other arguments by value.
  template <typename... Args>
  void call(const std::string &name, Args... arguments) {
    void *function = find(name);
    ASSERT_NE(function, nullptr) << name;
    invoke(function, pass(arguments)...);
  }

private:
  template <typename T, int Rank> static void *pass(Descriptor<T, Rank> &view) {
    return &view;
  }
  static int64_t pass(int64_t value) { return value; }
  static bool pass(bool value) { return value; }
  template <typename... Args>
  static void invoke(void *function, Args... arguments) {
    reinterpret_cast<void (*)(Args...)>(function)(arguments...);
  }
  void *find(const std::string &name);

  mlir::MLIRContext context;
  HostCpu target;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<KernelLibrary> kernels;
  void *handle = nullptr;
};

/// max |a - b| / max(1, max |b|)
double errorOf(const Matrix<float> &actual, const Matrix<double> &expected);

const int64_t rowCounts[] = {0, 1, 2, 5, 6, 7, 13, 64, 173};

} // namespace rshard::cpu::test

#endif // RSHARD_TEST_UNIT_CPU_KERNELS_H
