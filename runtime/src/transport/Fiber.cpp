#include "Fiber.h"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define RSHARD_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RSHARD_ASAN 1
#endif
#endif
#ifdef RSHARD_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace rshard::runtime {
using tokenset::Error;
using tokenset::Expected;

namespace {
/// The fiber that a switch leaves: the one that arrives learns the bounds of
/// the thread's own stack from it.
[[maybe_unused]] thread_local Fiber *departed = nullptr;
} // namespace

Fiber::~Fiber() {
  if (mapping)
    ::munmap(mapping, mapped);
}

Expected<void> Fiber::allocate(size_t bytes) {
  size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  stackBytes = (bytes + page - 1) / page * page;
  mapped = stackBytes + page;
  void *address =
      ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (address == MAP_FAILED)
    return Error{"cannot map a stack of " + std::to_string(mapped) +
                 " bytes: " + std::strerror(errno)};
  mapping = address;
  if (::mprotect(mapping, page, PROT_NONE) != 0)
    return Error{std::string("cannot protect a stack: ") +
                 std::strerror(errno)};
  stack = static_cast<char *>(mapping) + page;
  return {};
}

void Fiber::start(void (*newBody)(void *), void *newArgument) {
  body = newBody;
  argument = newArgument;
  fakeStack = nullptr;
#ifdef RSHARD_ASAN
  // Whatever an abandoned run left poisoned.
  __asan_unpoison_memory_region(stack, stackBytes);
#endif
  ::getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = stackBytes;
  context.uc_link = nullptr;
  // makecontext passes ints only.
  uintptr_t self = reinterpret_cast<uintptr_t>(this);
  ::makecontext(&context, reinterpret_cast<void (*)()>(&Fiber::entry), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
}

void Fiber::entry(unsigned high, unsigned low) {
  auto *self =
      reinterpret_cast<Fiber *>(static_cast<uintptr_t>(high) << 32 | low);
  self->arrive();
  self->body(self->argument);
  std::abort(); // body ends in leave()
}

void Fiber::arrive() {
#ifdef RSHARD_ASAN
  const void *oldStack = nullptr;
  size_t oldBytes = 0;
  __sanitizer_finish_switch_fiber(fakeStack, &oldStack, &oldBytes);
  if (!departed->mapping) {
    departed->stack = const_cast<void *>(oldStack);
    departed->stackBytes = oldBytes;
  }
#endif
}

void Fiber::switchTo(Fiber &from, Fiber &to) {
#ifdef RSHARD_ASAN
  departed = &from;
  __sanitizer_start_switch_fiber(&from.fakeStack, to.stack, to.stackBytes);
#endif
  ::swapcontext(&from.context, &to.context);
  from.arrive();
}

void Fiber::leave(Fiber &from, Fiber &to) {
#ifdef RSHARD_ASAN
  departed = &from;
  __sanitizer_start_switch_fiber(nullptr, to.stack, to.stackBytes);
#endif
  ::setcontext(&to.context);
  std::abort();
}

} // namespace rshard::runtime
