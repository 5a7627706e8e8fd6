//===- Fiber.h - Stacks that take turns on one thread
//-----------------------===//
#ifndef RSHARD_RUNTIME_SRC_FIBER_H
#define RSHARD_RUNTIME_SRC_FIBER_H

#include "rshard/tokenset/Expected.h"

#include <cstddef>
#include <memory>
#include <ucontext.h>

namespace rshard::runtime {

/// A stack and what runs on it, or (default-constructed) the thread's own
/// stack. Not movable: contexts point into themselves.
class Fiber {
public:
  Fiber() = default;
  Fiber(const Fiber &) = delete;
  Fiber &operator=(const Fiber &) = delete;
  ~Fiber();

  /// Maps a stack of `bytes` with a guard page below it; pages are taken when
  /// touched.
  tokenset::Expected<void> allocate(size_t bytes);
  /// The next switch to this fiber calls body(argument), which must end in
  /// leave(). What ran here before is forgotten: it must hold nothing that
  /// needs to be released.
  void start(void (*body)(void *), void *argument);
  /// Continues `to`; returns when somebody switches back to `from`.
  static void switchTo(Fiber &from, Fiber &to);
  /// As switchTo, for a fiber that is done.
  [[noreturn]] static void leave(Fiber &from, Fiber &to);

private:
  static void entry(unsigned high, unsigned low);
  void arrive();

  ucontext_t context{};
  void *mapping = nullptr;
  size_t mapped = 0;
  void *stack = nullptr;
  size_t stackBytes = 0;
  void (*body)(void *) = nullptr;
  void *argument = nullptr;
  void *fakeStack = nullptr; ///< of the address sanitizer
};

} // namespace rshard::runtime

#endif
