//===- Pool.h - The process's worker threads
//--------------------------------===//
//
// One pool for the process: rshard_parallel_for (ABI.h) and the packing of
// weights use it.
//
//===----------------------------------------------------------------------===//
#ifndef RSHARD_RUNTIME_POOL_H
#define RSHARD_RUNTIME_POOL_H

#include <cstdint>
#include <type_traits>

namespace rshard::runtime {

/// Sets the number of threads that work on a loop, the caller included; at
/// least 1, at most 1024. 0: as many as this process may run on. If the system
/// gives fewer, there are fewer. Results do not depend on it (C9). Waits until
/// no loop runs.
void setThreads(int count);
/// The number in force. Before the first call of setThreads: as many as this
/// process may run on.
int threads();

/// rshard_parallel_for for a callable (begin, end).
template <typename Fn> void parallelFor(int64_t n, Fn &&fn);

namespace detail {
void parallelFor(void (*fn)(void *ctx, int64_t begin, int64_t end), void *ctx,
                 int64_t n);
}

template <typename Fn> void parallelFor(int64_t n, Fn &&fn) {
  detail::parallelFor(
      [](void *ctx, int64_t begin, int64_t end) {
        (*static_cast<std::remove_reference_t<Fn> *>(ctx))(begin, end);
      },
      &fn, n);
}

} // namespace rshard::runtime

#endif
