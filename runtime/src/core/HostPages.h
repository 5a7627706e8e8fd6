//===- HostPages.h - Pages of the machine's own memory ----------*- C++ -*-===//
#ifndef RSHARD_RUNTIME_SRC_HOSTPAGES_H
#define RSHARD_RUNTIME_SRC_HOSTPAGES_H

#include "rshard/tokenset/Expected.h"

#include <cstddef>
#include <memory>
#include <string_view>

namespace rshard::runtime {

enum class PageUse {
  Sparse, ///< some may never be touched: what is untouched costs nothing
  Dense ///< all will be filled and read in a stream: large pages, if there are
};

/// Zeros, given back with the last reference. `what` they hold is said in the
/// error.
tokenset::Expected<std::shared_ptr<std::byte>>
mapPages(uint64_t bytes, PageUse use, std::string_view what);

} // namespace rshard::runtime

#endif
