//===- Kernel.h - How a device's kernels are launched
//-----------------------===//
//
// The host code runs kernels on arguments: views of buffers, tables and
// weights, and integers (rshard_run). What a kernel takes is derived from them.
// The value of an argument is the rows of a view, or the integer.
//
//===----------------------------------------------------------------------===//
#ifndef RSHARD_RUNTIME_KERNEL_H
#define RSHARD_RUNTIME_KERNEL_H

#include "rshard/tokenset/ElementType.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rshard::runtime {

using tokenset::ElementType;

/// `factor`, or `factor` times the value of an argument.
struct KernelSize {
  int64_t factor = 1;
  int32_t argument = -1; ///< -1: none
  bool operator==(const KernelSize &) const = default;
};

enum class ParameterKind : uint8_t {
  Pointer, ///< the device address of a view
  Rows,    ///< the rows of a view, i32
  Scalar,  ///< an integer, i32
  Map      ///< a tensor map of a view (CUDA driver API, cuTensorMapEncodeTiled)
};

struct KernelParameter {
  ParameterKind kind = ParameterKind::Pointer;
  int32_t argument = 0;
  // Of a map, innermost dimension first. A dimension of extent 0 counts as 1:
  // there is no map of nothing.
  ElementType type = ElementType::F32;
  std::vector<KernelSize> extents = {}; ///< 1 to 5, elements
  std::vector<KernelSize> strides = {}; ///< of dimension 1 and up, bytes
  std::vector<int64_t> box = {};        ///< elements; what one copy moves
  int64_t swizzle = 0;                  ///< bytes: 0, 32, 64 or 128
  bool operator==(const KernelParameter &) const = default;
};

struct KernelSpec {
  /// A factor of the grid: the value of an argument, divided and rounded up.
  struct Blocks {
    int32_t argument = 0;
    int64_t per = 1;
    bool operator==(const Blocks &) const = default;
  };

  std::string name;
  int64_t threads = 32; ///< of a block
  int64_t shared = 0;   ///< dynamic shared memory, bytes
  /// The grid has one dimension: `blocks` times the factors in `grid`; at most
  /// `resident` times the number of multiprocessors, if that is not 0. A grid
  /// of 0 blocks is not launched.
  int64_t blocks = 1;
  int64_t resident = 0;
  std::vector<Blocks> grid = {};
  std::vector<KernelParameter> parameters = {};
  bool operator==(const KernelSpec &) const = default;

  /// Arguments that a launch needs at least.
  int32_t arguments() const;
};

/// The most arguments of a launch.
constexpr int32_t maxKernelArguments = 64;

} // namespace rshard::runtime

#endif
