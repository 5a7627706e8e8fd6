//===- AddressSpaceLimit.h - a machine with little memory -------*- C++ -*-===//

#ifndef RSHARD_TEST_ADDRESSSPACELIMIT_H
#define RSHARD_TEST_ADDRESSSPACELIMIT_H

#include <cstdint>
#include <fstream>
#include <sys/resource.h>
#include <unistd.h>

namespace rshard::test {

/// Lets the process take so many bytes more than it has, until the object dies.
class AddressSpaceLimit {
public:
  explicit AddressSpaceLimit(uint64_t bytes) {
    ::getrlimit(RLIMIT_AS, &before);
    uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit limit = before;
    limit.rlim_cur = pages * uint64_t(::sysconf(_SC_PAGESIZE)) + bytes;
    ::setrlimit(RLIMIT_AS, &limit);
  }
  ~AddressSpaceLimit() { ::setrlimit(RLIMIT_AS, &before); }
  AddressSpaceLimit(const AddressSpaceLimit &) = delete;
  AddressSpaceLimit &operator=(const AddressSpaceLimit &) = delete;

private:
  rlimit before{};
};

} // namespace rshard::test

#endif // RSHARD_TEST_ADDRESSSPACELIMIT_H
