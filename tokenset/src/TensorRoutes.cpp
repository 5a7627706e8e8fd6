#include "TensorRoutes.h"

namespace rshard::tokenset {
namespace {

Error atRank(const Routes &routes, const TensorRoute &route,
             const std::string &what) {
  return Error{"C6: " + route.exchange + " tensor " +
               std::to_string(route.tensor) + " at rank " +
               std::to_string(routes.rank()) + ": " + what};
}

/// The pool's rows: own ones, then one range after the other.
Expected<size_t> poolSize(const Routes &routes, const TensorRoute &route) {
  size_t size = route.own.size();
  for (size_t i = 0; i < transferCount(*route.transfers); ++i) {
    Transfer transfer = transferAt(*route.transfers, i);
    if (transfer.isSend || transfer.tensor != route.tensor)
      continue;
    if (transfer.count < 1 || size_t(transfer.begin) != size)
      return atRank(routes, route,
                    "receives " + std::to_string(transfer.count) +
                        " rows from rank " + std::to_string(transfer.peer) +
                        " into row " + std::to_string(transfer.begin) +
                        " of the pool, expected row " + std::to_string(size));
    size += transfer.count;
  }
  return size;
}

/// Records that a reader takes pool row `row` for `position`.
Expected<void> use(const Routes &routes, TensorRoute &route, int32_t row,
                   int32_t position) {
  if (row < 0 || size_t(row) >= route.used.size())
    return atRank(routes, route,
                  "row " + std::to_string(row) + " is read from a pool of " +
                      std::to_string(route.used.size()));
  bool own = size_t(row) < route.own.size();
  int32_t before = own ? route.own[row] : route.used[row];
  if (before >= 0 && before != position)
    return atRank(routes, route,
                  "row " + std::to_string(row) + " is read as position " +
                      std::to_string(position) + ", it holds position " +
                      std::to_string(before));
  route.used[row] = position;
  return {};
}

/// Reader i takes pool row source[i] for position[i].
Expected<void> useAll(const Routes &routes, TensorRoute &route,
                      const IndexList &source, const IndexList &position) {
  if (source.size() != position.size())
    return atRank(routes, route,
                  std::to_string(source.size()) + " rows are read for " +
                      std::to_string(position.size()) + " positions");
  auto size = poolSize(routes, route);
  if (!size)
    return size.error();
  route.used.assign(*size, -1);
  for (size_t i = 0; i < source.size(); ++i)
    if (auto status = use(routes, route, source[i], position[i]); !status)
      return status;
  for (int32_t row : *route.pack)
    if (row < 0 || size_t(row) >= route.own.size())
      return atRank(routes, route,
                    "row " + std::to_string(row) + " of " +
                        std::to_string(route.own.size()) + " is sent");
  return {};
}

/// The positions that the append of a mask class writes to the cache.
Expected<IndexList> appended(const Routes &routes, const MaskTables &table,
                             const TensorRoute &route) {
  IndexList positions;
  size_t columns = routes.gridColumns().size();
  bool whole = areOffsets(table.appendBegin, columns, table.appendRow.size()) &&
               table.cacheLength.size() == columns &&
               table.cachePosition.size() == columns * routes.bounds().cache;
  for (size_t k = 0; whole && k < columns; ++k)
    for (int32_t i = table.appendBegin[k]; i < table.appendBegin[k + 1]; ++i) {
      int32_t row = table.appendRow[i];
      if (row < 0 || row >= table.cacheLength[k] ||
          row >= routes.bounds().cache)
        return atRank(routes, route,
                      "cache row " + std::to_string(row) + " of " +
                          std::to_string(table.cacheLength[k]) +
                          " is appended to");
      positions.push_back(table.cachePosition[k * routes.bounds().cache + row]);
    }
  if (!whole)
    return atRank(routes, route, "the append tables do not fit together");
  return positions;
}

} // namespace

bool areOffsets(const IndexList &begin, size_t lists, size_t items) {
  return begin.size() == lists + 1 && begin.front() == 0 &&
         size_t(begin.back()) == items &&
         std::is_sorted(begin.begin(), begin.end());
}

Expected<std::vector<TensorRoute>> tensorRoutes(const Routes &routes) {
  const RouteTables &tables = routes.tables();
  std::vector<TensorRoute> list;
  auto add = [&](TensorRoute route, const IndexList &source,
                 const IndexList &position) -> Expected<void> {
    auto status = useAll(routes, route, source, position);
    list.push_back(std::move(route));
    return status;
  };
  if (auto status = add({"enter",
                         0,
                         &tables.enterTransfer,
                         &tables.enterPack,
                         tables.clientPosition,
                         {}},
                        tables.enterSource, tables.compPosition);
      !status)
    return status.error();
  for (size_t c = 0; c < tables.masks.size(); ++c) {
    const MaskTables &mask = tables.masks[c];
    std::string up = "up" + std::to_string(c),
                down = "down" + std::to_string(c);
    if (auto status = add({up,
                           0,
                           &mask.upTransfer,
                           &mask.upQueryPack,
                           tables.compPosition,
                           {}},
                          mask.querySource, mask.queryPosition);
        !status)
      return status.error();
    for (int32_t tensor : {1, 2}) {
      TensorRoute route{
          up, tensor, &mask.upTransfer, &mask.upKeyPack, tables.compPosition,
          {}};
      auto positions = appended(routes, mask, route);
      if (!positions)
        return positions.error();
      if (auto status = add(std::move(route), mask.appendSource, *positions);
          !status)
        return status.error();
    }
    for (int32_t tensor : {0, 1}) {
      TensorRoute route{
          down, tensor, &mask.downTransfer, &mask.downPack, mask.queryPosition,
          {}};
      IndexList merged;
      bool whole = areOffsets(mask.mergeBegin, tables.compPosition.size(),
                              mask.mergeSource.size());
      for (size_t x = 0; whole && x < tables.compPosition.size(); ++x)
        for (int32_t i = mask.mergeBegin[x]; i < mask.mergeBegin[x + 1]; ++i)
          merged.push_back(tables.compPosition[x]);
      if (!whole)
        return atRank(routes, route, "the merge tables do not fit together");
      if (auto status = add(std::move(route), mask.mergeSource, merged);
          !status)
        return status.error();
    }
  }
  if (auto status = add({"leave",
                         0,
                         &tables.leaveTransfer,
                         &tables.leavePack,
                         tables.compPosition,
                         {}},
                        tables.leaveSource, tables.leavePosition);
      !status)
    return status.error();
  return list;
}

} // namespace rshard::tokenset
