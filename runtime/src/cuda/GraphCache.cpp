#include "GraphCache.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string_view>

namespace rshard::runtime::cuda {

namespace {

uint64_t hashOf(std::span<const std::byte> bytes) {
  return std::hash<std::string_view>()(std::string_view(
      reinterpret_cast<const char *>(bytes.data()), bytes.size()));
}

} // namespace

GraphCache::~GraphCache() {
  if (!context)
    return;
  Context::Use use(*context);
  for (auto &[hash, entry] : entries)
    if (entry.graph)
      context->driver().graphExecDestroy(entry.graph);
}

void GraphCache::dropOldest() {
  auto oldest = std::min_element(entries.begin(), entries.end(),
                                 [](const auto &a, const auto &b) {
                                   return a.second.lastUse < b.second.lastUse;
                                 });
  if (oldest->second.graph)
    context->driver().graphExecDestroy(oldest->second.graph);
  entries.erase(oldest);
}

Expected<GraphExecHandle> GraphCache::capture(CommandList &list,
                                              const Module &module,
                                              StreamHandle stream) {
  const DriverApi &api = context->driver();
  if (auto begun = api.check(api.captureBegin(stream, captureThreadLocal),
                             "capturing a step");
      !begun)
    return begun.error();
  Expected<void> enqueued = list.enqueue(api, module, stream);
  // The stream leaves its mode whatever happened.
  GraphHandle graph = nullptr;
  Expected<void> ended =
      api.check(api.captureEnd(stream, &graph), "capturing a step");
  if (!enqueued)
    ended = enqueued;
  GraphExecHandle made = nullptr;
  if (ended)
    ended =
        api.check(api.graphInstantiate(&made, graph, 0), "the graph of a step");
  if (graph)
    api.graphDestroy(graph);
  if (!ended)
    return ended.error();
  return made;
}

Expected<void> GraphCache::run(CommandList &list, const Module &module,
                               StreamHandle stream) {
  const DriverApi &api = context->driver();
  uint64_t hash = hashOf(list.bytes());
  auto [begin, end] = entries.equal_range(hash);
  auto found = std::find_if(begin, end, [&](const auto &item) {
    return item.second.key.size() == list.bytes().size() &&
           std::memcmp(item.second.key.data(), list.bytes().data(),
                       list.bytes().size()) == 0;
  });
  if (found == end) {
    if (entries.size() == capacity)
      dropOldest();
    Entry entry;
    entry.key.assign(list.bytes().begin(), list.bytes().end());
    entry.lastUse = ++clock;
    entries.emplace(hash, std::move(entry));
    return list.enqueue(api, module, stream);
  }
  Entry &entry = found->second;
  entry.lastUse = ++clock;
  if (!entry.graph) {
    Expected<GraphExecHandle> graph = capture(list, module, stream);
    if (!graph)
      return graph.error();
    entry.graph = *graph;
  }
  return api.check(api.graphLaunch(entry.graph, stream), "the graph of a step");
}

} // namespace rshard::runtime::cuda
