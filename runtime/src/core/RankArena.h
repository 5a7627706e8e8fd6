//===- RankArena.h - The memory of one rank
//---------------------------------===//
#ifndef RSHARD_RUNTIME_SRC_RANKARENA_H
#define RSHARD_RUNTIME_SRC_RANKARENA_H

#include "Device.h"
#include "rshard/tokenset/Routes.h"

#include <array>
#include <string_view>
#include <vector>

namespace rshard::runtime {

constexpr size_t rowClassCount = static_cast<size_t>(RowClass::Workspace) + 1;
/// Rows by class.
using RowCounts = std::array<int64_t, rowClassCount>;

/// What a session's shape means for one rank.
struct RankShape {
  int64_t capacity = 0;
  bool allRows = false;
  int64_t shardedLayers = 0, clientLayers = 0;
  int64_t columns = 0; ///< of the grid, with nodes on the rank
};

/// The most rows of every class.
RowCounts largestRows(const tokenset::RouteBounds &bounds,
                      const RankShape &shape);
/// The rows that the step in `routes` uses. `largest` for what outlives a step.
RowCounts stepRows(const tokenset::Routes &routes, int64_t wanted,
                   const RowCounts &largest);

/// One piece of the device's memory with every buffer of a rank at a fixed,
/// 64-byte aligned offset.
class RankArena {
public:
  /// Places the buffers; they have no memory yet.
  static Expected<RankArena> create(const Manifest &manifest,
                                    const RowCounts &largest);
  Expected<void> allocate(Device &device);

  const std::vector<rshard_buffer> &buffers() const { return list; }
  /// States the rows of this step in the buffers.
  void setRows(const Manifest &manifest, const RowCounts &rows);
  /// NaN everywhere but in what outlives a step; with `all`, caches too.
  void poison(Device &device, bool all);
  uint64_t bytes() const { return size; }
  /// Of them, those of the session's own tables.
  uint64_t tableBytes() const { return ropeEnd; }

private:
  std::shared_ptr<std::byte> memory;
  uint64_t size = 0;
  uint64_t ropeEnd = 0,
           cacheEnd = 0; ///< tables first, then caches, then what a step uses
  std::vector<uint64_t> offsets;
  std::vector<rshard_buffer> list;
};

} // namespace rshard::runtime

#endif
