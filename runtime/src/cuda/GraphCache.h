//===- GraphCache.h - Steps that do what earlier ones did
//-------------------===//
#ifndef RSHARD_RUNTIME_SRC_CUDA_GRAPHCACHE_H
#define RSHARD_RUNTIME_SRC_CUDA_GRAPHCACHE_H

#include "CommandList.h"

#include <map>
#include <vector>

namespace rshard::runtime::cuda {

/// Decoding launches the same kernels with the same arguments again and again:
/// positions, lengths and rows are read from tables on the device. Lists that
/// come a second time become graphs, which the device runs without the host.
class GraphCache {
public:
  /// Graphs and keys of lists that came once, at most: more than the steps of
  /// any usual plan's period.
  static constexpr size_t capacity = 128;

  explicit GraphCache(std::shared_ptr<Context> context = nullptr)
      : context(std::move(context)) {}
  GraphCache(GraphCache &&) = default;
  GraphCache &operator=(GraphCache &&) = default;
  ~GraphCache();

  /// Puts the commands into the stream. The context is current.
  Expected<void> run(CommandList &list, const Module &module,
                     StreamHandle stream);

private:
  struct Entry {
    std::vector<std::byte> key;
    GraphExecHandle graph = nullptr; ///< null: came once
    uint64_t lastUse = 0;
  };
  Expected<GraphExecHandle> capture(CommandList &list, const Module &module,
                                    StreamHandle stream);
  void dropOldest();

  std::shared_ptr<Context> context;
  std::multimap<uint64_t, Entry> entries; ///< by the hash of the key
  uint64_t clock = 0;
};

} // namespace rshard::runtime::cuda

#endif
