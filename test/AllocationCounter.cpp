//===- AllocationCounter.cpp - operator new, counted ----------------------===//

#include "AllocationCounter.h"
#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>

static constexpr int64_t unlimited = std::numeric_limits<int64_t>::max();
static std::atomic<int64_t> made{0}, bytes{0}, limit{unlimited};

static void *orThrow(void *memory) {
  if (memory)
    return memory;
  throw std::bad_alloc();
}

static bool refused(size_t size) {
  bytes += static_cast<int64_t>(size);
  return made++ >= limit;
}

void *operator new(size_t size) {
  return orThrow(refused(size) ? nullptr : std::malloc(size ? size : 1));
}
void *operator new(size_t size, std::align_val_t alignment) {
  size_t unit = static_cast<size_t>(alignment);
  size_t whole = (size + unit - 1) / unit * unit;
  return orThrow(
      refused(size) ? nullptr : std::aligned_alloc(unit, whole ? whole : unit));
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }
void operator delete(void *memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void *memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}

int64_t rshard::test::allocations() { return made; }
int64_t rshard::test::allocatedBytes() { return bytes; }

rshard::test::AllocationLimit::AllocationLimit(int64_t count) {
  limit = made + count;
}
rshard::test::AllocationLimit::~AllocationLimit() { limit = unlimited; }
