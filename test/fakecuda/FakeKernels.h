//===- FakeKernels.h - What the compiler's kernels compute ------*- C++ -*-===//

#ifndef RSHARD_TEST_FAKECUDA_FAKEKERNELS_H
#define RSHARD_TEST_FAKECUDA_FAKEKERNELS_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace fakecuda {

/// An access outside of any allocation.
struct IllegalAddress : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Where the bytes [address, address + bytes) of the device lie; throws
/// IllegalAddress.
std::byte *memoryAt(uint64_t address, size_t bytes);

/// The parameters of a launch: addresses (of pointers and of what maps show)
/// first, then integers.
struct Parameters {
  std::vector<uint64_t> addresses;
  std::vector<int32_t> numbers;
  int64_t blocks = 0;
};

struct Kernel {
  size_t addresses = 0, numbers = 0;
  std::function<void(const Parameters &)> body;
};

/// The kernel of a name as the compiler gives them, which holds all that it
/// does; nullptr for other names.
std::unique_ptr<Kernel> makeKernel(const std::string &name);

} // namespace fakecuda

#endif // RSHARD_TEST_FAKECUDA_FAKEKERNELS_H
