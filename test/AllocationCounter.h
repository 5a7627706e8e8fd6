//===- AllocationCounter.h - operator new, counted --------------*- C++ -*-===//

#ifndef RSHARD_TEST_ALLOCATIONCOUNTER_H
#define RSHARD_TEST_ALLOCATIONCOUNTER_H

#include <cstdint>

namespace rshard::test {

/// Calls of operator new in this program so far, on all threads.
int64_t allocations();
/// The bytes that they asked for, those given back included.
int64_t allocatedBytes();

/// Lets `count` more calls of operator new succeed and every one behind them
/// throw std::bad_alloc, until the object dies.
class AllocationLimit {
public:
  explicit AllocationLimit(int64_t count);
  ~AllocationLimit();
  AllocationLimit(const AllocationLimit &) = delete;
  AllocationLimit &operator=(const AllocationLimit &) = delete;
};

} // namespace rshard::test

#endif // RSHARD_TEST_ALLOCATIONCOUNTER_H
