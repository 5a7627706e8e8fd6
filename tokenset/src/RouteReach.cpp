// Which cached rows each query sees: masks and sets, as two numbers (C2, C4).

#include "RoutesState.h"

namespace rshard::tokenset {
namespace {

/// Appends what each of `queries` sees of `keys`, both ascending. Time is
/// linear in the rows of the step: only the first query searches, and later
/// ones pass keys of the step or of positions that its window leaves.
void reach(const Mask &mask, std::span<const int32_t> queries,
           std::span<const int32_t> keys, IndexList &first, IndexList &last) {
  if (queries.empty())
    return;
  auto begin = keys.begin(), end = keys.end();
  if (mask.kind != MaskKind::Full) {
    begin =
        std::lower_bound(keys.begin(), keys.end(), mask.firstKey(queries[0]));
    end = std::upper_bound(begin, keys.end(), queries[0]);
  }
  for (int32_t query : queries) {
    if (mask.kind != MaskKind::Full) {
      Position from = mask.firstKey(query);
      while (begin != keys.end() && *begin < from)
        ++begin;
      while (end != keys.end() && *end <= query)
        ++end;
    }
    first.push_back(static_cast<int32_t>(begin - keys.begin()));
    last.push_back(static_cast<int32_t>(end - keys.begin()));
  }
}

} // namespace

void Routes::State::routeReach(size_t c) {
  MaskTables &table = tables.masks[c];
  if (!table.hasReach)
    return;
  table.reachBegin.assign(1, 0);
  table.reachFirst.clear();
  table.reachLast.clear();
  for (size_t cell = 0; cell < table.cellRow.size(); ++cell) {
    int32_t row = table.cellRow[cell], column = table.cellColumn[cell];
    std::span<const int32_t> queries(table.queryPosition),
        keys(table.cachePosition);
    reach(masks[c],
          queries.subspan(table.queryBegin[row],
                          table.queryBegin[row + 1] - table.queryBegin[row]),
          keys.subspan(column * bounds.cache, table.cacheLength[column]),
          table.reachFirst, table.reachLast);
    table.reachBegin.push_back(static_cast<int32_t>(table.reachFirst.size()));
  }
}

void Routes::State::routeClientReach(size_t c) {
  MaskTables &table = tables.masks[c];
  if (!table.hasClientReach)
    return;
  table.clientReachFirst.clear();
  table.clientReachLast.clear();
  // The client caches every position: row and position are one number.
  int32_t end = static_cast<int32_t>(step.position) + rows();
  for (int32_t query : tables.clientPosition) {
    table.clientReachFirst.push_back(
        static_cast<int32_t>(masks[c].firstKey(query)));
    table.clientReachLast.push_back(
        masks[c].kind == MaskKind::Full ? end : query + 1);
  }
}

const IndexList *Routes::want(std::string_view name) {
  const IndexList *list = state->tables.find(name);
  for (MaskTables &table : state->tables.masks) {
    for (IndexList *own :
         {&table.reachBegin, &table.reachFirst, &table.reachLast})
      if (own == list)
        table.hasReach = true;
    for (IndexList *own : {&table.clientReachFirst, &table.clientReachLast})
      if (own == list)
        table.hasClientReach = true;
    if (table.hasReach) {
      table.reachBegin.reserve(table.cellRow.size() + 1);
      table.reachFirst.reserve(state->bounds.reach);
      table.reachLast.reserve(state->bounds.reach);
    }
    if (table.hasClientReach) {
      table.clientReachFirst.reserve(state->bounds.client);
      table.clientReachLast.reserve(state->bounds.client);
    }
  }
  return list;
}

} // namespace rshard::tokenset
