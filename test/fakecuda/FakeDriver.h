//===- FakeDriver.h - A CUDA driver without a GPU ---------------*- C++ -*-===//
//
// A library under the driver's name (libcuda.so.1) that keeps to its rules and
// runs the compiler's kernels as plain loops on the host: whoever uses the
// driver can be tested where there is no GPU.
//
// - Device addresses cannot be read by the host. Every access of a kernel or
//   copy must lie inside one allocation, or the context fails for good, like
//   after an illegal address on a GPU.
// - A stream does nothing before it is waited for: what the host changes too
//   early shows.
//
// RSHARD_FAKE_CUDA chooses another machine, as words like those of Machine:
// "devices=0", "capability=80", "memory=1000000". With "report=FILE" the
// process leaves there how many kernels it launched, and how many graphs it
// made and launched.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TEST_FAKECUDA_FAKEDRIVER_H
#define RSHARD_TEST_FAKECUDA_FAKEDRIVER_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fakecuda {

struct Machine {
  int devices = 1;
  int capability = 90;             ///< 10 x major + minor
  size_t memory = size_t(1) << 32; ///< bytes of the device
  bool takesCubin = true, takesPtx = true;
};

/// One launch, in the order of the calls.
struct Launch {
  std::string kernel;
  unsigned blocks = 0, threads = 0, shared = 0;
  std::vector<int32_t> numbers; ///< the parameters that are integers
  bool overlaps = false;        ///< may start before earlier kernels have ended
};

/// What was seen since reset().
struct Seen {
  std::vector<Launch> launches;
  size_t copiesToDevice = 0, copiesToHost = 0, copiesOnDevice = 0,
         copiesOfRows = 0;
  size_t graphsMade = 0, graphLaunches = 0;
  /// Memory in use, of the device and page-locked, and the most there was.
  size_t used = 0, usedHost = 0, mostUsed = 0;
  /// Contexts, streams, modules and graphs that have not been released.
  size_t objects = 0;
};

/// Forgets what was seen (memory and objects stay) and becomes this machine.
void reset(const Machine &machine = {});
const Seen &seen();

} // namespace fakecuda

#endif // RSHARD_TEST_FAKECUDA_FAKEDRIVER_H
