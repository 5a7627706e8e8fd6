#include "RankArena.h"

#include <algorithm>

namespace rshard::runtime {
using tokenset::IndexList;
using tokenset::MaskTables;
using tokenset::RouteBounds;
using tokenset::RouteTables;

namespace {

int64_t &at(RowCounts &rows, RowClass kind) {
  return rows[static_cast<size_t>(kind)];
}

int64_t length(const IndexList &list) {
  return static_cast<int64_t>(list.size());
}

/// Rows of a pool: `own`, or as far as the received rows of a tensor reach.
int64_t poolRows(const IndexList &transfer, int32_t tensor, int64_t own) {
  int64_t rows = own;
  for (size_t i = 0; i != tokenset::transferCount(transfer); ++i) {
    tokenset::Transfer entry = tokenset::transferAt(transfer, i);
    if (!entry.isSend && entry.tensor == tensor)
      rows = std::max(rows, int64_t(entry.begin) + entry.count);
  }
  return rows;
}

constexpr uint64_t alignment = 64;

/// Padded; the largest number there is if it does not fit.
uint64_t bytesOf(const BufferSpec &buffer, const RowCounts &rows) {
  auto bytes = static_cast<uint64_t>(tokenset::elementBytes(buffer.type));
  if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(buffer.width),
                             &bytes) ||
      __builtin_mul_overflow(
          bytes, static_cast<uint64_t>(rows[static_cast<size_t>(buffer.rows)]),
          &bytes) ||
      bytes > UINT64_MAX - alignment)
    return UINT64_MAX;
  return (bytes + alignment - 1) / alignment * alignment;
}

/// Tables of the whole session, caches, what one step uses.
int lifetime(RowClass rows) {
  return rows == RowClass::Positions || rows == RowClass::Rank      ? 0
         : rows == RowClass::Cache || rows == RowClass::ClientCache ? 1
                                                                    : 2;
}

} // namespace

RowCounts largestRows(const RouteBounds &bounds, const RankShape &shape) {
  RowCounts rows{};
  at(rows, RowClass::Client) = bounds.client;
  at(rows, RowClass::Comp) = bounds.comp;
  at(rows, RowClass::PoolEnter) = bounds.poolEnter;
  at(rows, RowClass::PoolQuery) = bounds.poolQuery;
  at(rows, RowClass::PoolKey) = bounds.poolKey;
  at(rows, RowClass::PoolPartial) = bounds.poolPartial;
  at(rows, RowClass::PoolLeave) = bounds.poolLeave;
  at(rows, RowClass::SendEnter) = bounds.sendEnter;
  at(rows, RowClass::SendQuery) = bounds.sendQuery;
  at(rows, RowClass::SendKey) = bounds.sendKey;
  at(rows, RowClass::SendPartial) = bounds.sendPartial;
  at(rows, RowClass::SendLeave) = bounds.sendLeave;
  at(rows, RowClass::Wanted) =
      shape.allRows ? bounds.client : std::min<int64_t>(1, bounds.client);
  at(rows, RowClass::Cache) =
      shape.shardedLayers * shape.columns * bounds.cache;
  at(rows, RowClass::ClientCache) =
      bounds.client ? shape.clientLayers * shape.capacity : 0;
  at(rows, RowClass::Positions) = shape.capacity;
  at(rows, RowClass::Rank) = 1;
  at(rows, RowClass::Workspace) = std::max(bounds.client, bounds.comp);
  return rows;
}

RowCounts stepRows(const tokenset::Routes &routes, int64_t wanted,
                   const RowCounts &largest) {
  const RouteTables &tables = routes.tables();
  RowCounts rows = largest;
  int64_t client = length(tables.clientPosition),
          comp = length(tables.compPosition);
  at(rows, RowClass::Client) = client;
  at(rows, RowClass::Comp) = comp;
  at(rows, RowClass::Workspace) = std::max(client, comp);
  at(rows, RowClass::PoolEnter) = poolRows(tables.enterTransfer, 0, client);
  at(rows, RowClass::PoolLeave) = poolRows(tables.leaveTransfer, 0, comp);
  at(rows, RowClass::SendEnter) = length(tables.enterPack);
  at(rows, RowClass::SendLeave) = length(tables.leavePack);
  at(rows, RowClass::Wanted) = client ? wanted : 0;
  for (RowClass kind :
       {RowClass::PoolQuery, RowClass::PoolKey, RowClass::PoolPartial,
        RowClass::SendQuery, RowClass::SendKey, RowClass::SendPartial})
    at(rows, kind) = 0;
  auto raise = [&](RowClass kind, int64_t count) {
    at(rows, kind) = std::max(at(rows, kind), count);
  };
  for (const MaskTables &mask : tables.masks) {
    raise(RowClass::PoolQuery, poolRows(mask.upTransfer, 0, comp));
    raise(RowClass::PoolKey, poolRows(mask.upTransfer, 1, comp));
    raise(RowClass::PoolPartial,
          poolRows(mask.downTransfer, 0, length(mask.queryPosition)));
    raise(RowClass::SendQuery, length(mask.upQueryPack));
    raise(RowClass::SendKey, length(mask.upKeyPack));
    raise(RowClass::SendPartial, length(mask.downPack));
  }
  return rows;
}

Expected<RankArena> RankArena::create(const Manifest &manifest,
                                      const RowCounts &largest) {
  RankArena out;
  out.list.resize(manifest.buffers.size());
  out.offsets.resize(manifest.buffers.size());
  for (int phase = 0; phase != 3; ++phase) {
    for (size_t i = 0; i != manifest.buffers.size(); ++i) {
      const BufferSpec &buffer = manifest.buffers[i];
      if (lifetime(buffer.rows) != phase)
        continue;
      out.offsets[i] = out.size;
      if (__builtin_add_overflow(out.size, bytesOf(buffer, largest),
                                 &out.size) ||
          out.size > uint64_t(1) << 46)
        return Error{"buffer \"" + buffer.name +
                     "\" makes the arena larger than memory can be"};
    }
    if (phase == 0)
      out.ropeEnd = out.size;
    if (phase <= 1)
      out.cacheEnd = out.size;
  }
  // Never empty, so that every buffer has an address.
  out.size = std::max(out.size, alignment);
  out.setRows(manifest, largest);
  return out;
}

Expected<void> RankArena::allocate(Device &device) {
  Expected<std::shared_ptr<std::byte>> allocated = device.allocate(size);
  if (!allocated)
    return allocated.error();
  memory = std::move(*allocated);
  for (size_t i = 0; i != offsets.size(); ++i)
    list[i].data = memory.get() + std::min(offsets[i], size - alignment);
  return {};
}

void RankArena::setRows(const Manifest &manifest, const RowCounts &rows) {
  for (size_t i = 0; i != list.size(); ++i)
    list[i].rows = rows[static_cast<size_t>(manifest.buffers[i].rows)];
}

void RankArena::poison(Device &device, bool all) {
  uint64_t begin = all ? ropeEnd : cacheEnd;
  device.poison(memory.get() + begin, size - begin);
}

} // namespace rshard::runtime
