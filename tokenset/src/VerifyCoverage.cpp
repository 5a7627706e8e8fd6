// C2 and C3 of the routes of a step: each cell has the queries and keys that it
// must have and shows each query those that it sees, and its answers are merged
// once and in order. Membership is asked of the sets, not of the code that
// fills routes.

#include "TensorRoutes.h"
#include "rshard/tokenset/Verify.h"

namespace rshard::tokenset {
namespace {

/// What the definitions require of one rank and mask class.
class Requirement {
public:
  Requirement(const Routes &routes, size_t mask)
      : plan(routes.plan()), mask(routes.masks()[mask]),
        capacity(routes.capacity()),
        end(routes.step().position + routes.step().rows) {}

  /// Query q sees the positions from mask.firstKey(q) up to this one.
  Position lastKey(Position q) const {
    return mask.kind == MaskKind::Full ? end - 1 : q;
  }
  /// Cell (.,k) has a key that q sees.
  bool shows(Position q, int32_t k) const {
    return plan.T[k].next(mask.firstKey(q)) <= lastKey(q);
  }
  /// Row j has a query, up to the capacity, that sees x.
  bool needs(Position x, int32_t j) const {
    return mask.kind == MaskKind::Full
               ? plan.S[j].next(0) < end
               : plan.S[j].next(x) < mask.endOfQueries(x, capacity);
  }
  int32_t cellRank(int32_t j, int32_t k) const {
    return plan.ranks[plan.attnNode(j, k)];
  }
  /// The ranks whose cells of row j(q) show q a key, by their smallest k.
  std::vector<int32_t> mergeRanks(Position q) const {
    int32_t j = plan.S.owner(q);
    std::vector<int32_t> order, ranks;
    for (int32_t k = 0; k < plan.keyShards(); ++k)
      if (std::find(order.begin(), order.end(), cellRank(j, k)) == order.end())
        order.push_back(cellRank(j, k));
    for (int32_t rank : order)
      for (int32_t k = 0; k < plan.keyShards(); ++k)
        if (cellRank(j, k) == rank && shows(q, k)) {
          ranks.push_back(rank);
          break;
        }
    return ranks;
  }

  const Plan &plan;
  Mask mask;
  int64_t capacity;
  Position end;
};

class Check {
public:
  Check(const Routes &routes, size_t mask)
      : routes(routes), table(routes.tables().masks[mask]), index(mask),
        required(routes, mask) {}

  Expected<void> cells() const;
  Expected<void> queries() const;
  Expected<void> keys() const;
  Expected<void> merges() const;
  // After the others: what cells(), queries() and keys() check is relied on.
  Expected<void> reach() const;
  Expected<void> clientReach() const;

private:
  Error fail(const char *rule, const std::string &what) const {
    return Error{std::string(rule) + ": mask " + std::to_string(index) +
                 " at rank " + std::to_string(routes.rank()) + ": " + what};
  }
  /// The first position at which two ascending lists differ.
  Error differ(const char *what, int32_t shard, const int32_t *begin,
               const int32_t *stop, const IndexList &expected) const {
    auto [got, due] =
        std::mismatch(begin, stop, expected.begin(), expected.end());
    bool missing = due != expected.end() && (got == stop || *due < *got);
    return fail("C2", std::string(what) + " " + std::to_string(shard) +
                          (missing ? " lacks position " : " has position ") +
                          std::to_string(missing ? *due : *got) +
                          (missing ? "" : ", which is not due there"));
  }

  const Routes &routes;
  const MaskTables &table;
  size_t index;
  Requirement required;
};

Expected<void> Check::cells() const {
  size_t cell = 0;
  std::vector<bool> seen(routes.gridRows().size());
  const Plan &plan = routes.plan();
  for (int32_t j = 0; j < plan.queryShards(); ++j)
    for (int32_t k = 0; k < plan.keyShards(); ++k) {
      if (required.cellRank(j, k) != routes.rank())
        continue;
      bool right = cell < table.cellRow.size() &&
                   cell < table.cellColumn.size() &&
                   cell < table.cellFirst.size();
      if (right) {
        size_t row = table.cellRow[cell], column = table.cellColumn[cell];
        right = row < routes.gridRows().size() &&
                column < routes.gridColumns().size() &&
                routes.gridRows()[row] == j &&
                routes.gridColumns()[column] == k &&
                table.cellFirst[cell] == int32_t(!seen[row]);
        if (right)
          seen[row] = true;
      }
      if (!right)
        return fail("C2", "cell " + std::to_string(cell) + " is not " +
                              plan.nodeName(plan.attnNode(j, k)));
      ++cell;
    }
  for (const IndexList *list :
       {&table.cellRow, &table.cellColumn, &table.cellFirst})
    if (list->size() != cell)
      return fail("C2", std::to_string(list->size()) + " cells are listed, " +
                            std::to_string(cell) + " live here");
  return {};
}

Expected<void> Check::queries() const {
  const auto &gridRows = routes.gridRows();
  if (!areOffsets(table.queryBegin, gridRows.size(),
                  table.queryPosition.size()))
    return fail("C2", "the query tables do not fit together");
  for (size_t row = 0; row < gridRows.size(); ++row) {
    int32_t j = gridRows[row];
    IndexList expected;
    required.plan.S[j].forEachRun(
        routes.step().position, required.end, [&](Position q, Position stop) {
          for (; q < stop; ++q)
            for (int32_t k = 0; k < required.plan.keyShards(); ++k)
              if (required.cellRank(j, k) == routes.rank() &&
                  required.shows(q, k)) {
                expected.push_back(static_cast<int32_t>(q));
                break;
              }
        });
    const int32_t *data = table.queryPosition.data();
    const int32_t *begin = data + table.queryBegin[row];
    const int32_t *stop = data + table.queryBegin[row + 1];
    if (!std::equal(begin, stop, expected.begin(), expected.end()))
      return differ("grid row", j, begin, stop, expected);
  }
  return {};
}

Expected<void> Check::keys() const {
  const auto &columns = routes.gridColumns();
  int64_t size = routes.bounds().cache;
  if (table.cacheLength.size() != columns.size() ||
      table.cachePosition.size() != columns.size() * size)
    return fail("C2", "the cache tables do not fit together");
  for (size_t column = 0; column < columns.size(); ++column) {
    int32_t k = columns[column], cached = table.cacheLength[column];
    if (cached < 0 || cached > size)
      return fail("C2", "column " + std::to_string(k) + " caches " +
                            std::to_string(cached) + " of at most " +
                            std::to_string(size) + " rows");
    IndexList expected;
    required.plan.T[k].forEachRun(
        0, required.end, [&](Position x, Position stop) {
          for (; x < stop; ++x)
            for (int32_t j = 0; j < required.plan.queryShards(); ++j)
              if (required.cellRank(j, k) == routes.rank() &&
                  required.needs(x, j)) {
                expected.push_back(static_cast<int32_t>(x));
                break;
              }
        });
    const int32_t *begin = table.cachePosition.data() + column * size;
    if (!std::equal(begin, begin + cached, expected.begin(), expected.end()))
      return differ("the cache of grid column", k, begin, begin + cached,
                    expected);
  }
  return {};
}

Expected<void> Check::merges() const {
  const IndexList &rows = routes.tables().compPosition;
  if (!areOffsets(table.mergeBegin, rows.size(), table.mergeSource.size()))
    return fail("C3", "the merge tables do not fit together");
  // The rank that computed each row of pool `partial`.
  IndexList computed(table.queryPosition.size(), routes.rank());
  for (size_t i = 0; i < transferCount(table.downTransfer); ++i)
    if (Transfer t = transferAt(table.downTransfer, i);
        !t.isSend && t.tensor == 0)
      computed.insert(computed.end(), std::max(t.count, 0), t.peer);
  std::vector<bool> merged(computed.size());
  for (size_t x = 0; x < rows.size(); ++x) {
    std::vector<int32_t> ranks;
    for (int32_t i = table.mergeBegin[x]; i < table.mergeBegin[x + 1]; ++i) {
      int32_t source = table.mergeSource[i];
      if (source < 0 || size_t(source) >= computed.size() || merged[source])
        return fail("C3", "partial " + std::to_string(source) + " of " +
                              std::to_string(computed.size()) +
                              " does not exist or is merged twice");
      merged[source] = true;
      ranks.push_back(computed[source]);
    }
    if (ranks != required.mergeRanks(rows[x]))
      return fail("C3", "position " + std::to_string(rows[x]) +
                            " merges the partials of other ranks, or in "
                            "another order, than its grid row holds");
  }
  return {};
}

Expected<void> Check::reach() const {
  size_t cells = table.cellRow.size(), size = routes.bounds().cache;
  if (!table.hasReach) {
    if (!table.reachBegin.empty() || !table.reachFirst.empty() ||
        !table.reachLast.empty())
      return fail("C2", "the reach tables are not empty, nobody wants them");
    return {};
  }
  if (!areOffsets(table.reachBegin, cells, table.reachFirst.size()) ||
      table.reachLast.size() != table.reachFirst.size())
    return fail("C2", "the reach tables do not fit together");
  for (size_t cell = 0; cell < cells; ++cell) {
    int32_t row = table.cellRow[cell], column = table.cellColumn[cell];
    int32_t from = table.queryBegin[row], at = table.reachBegin[cell];
    int32_t queries = table.queryBegin[row + 1] - from;
    if (table.reachBegin[cell + 1] - at != queries)
      return fail("C2", "cell " + std::to_string(cell) + " reaches for " +
                            std::to_string(table.reachBegin[cell + 1] - at) +
                            " queries, its grid row has " +
                            std::to_string(queries));
    const int32_t *begin = table.cachePosition.data() + column * size;
    const int32_t *end = begin + table.cacheLength[column];
    for (int32_t i = 0; i < queries; ++i) {
      Position q = table.queryPosition[from + i];
      auto first = std::lower_bound(begin, end, required.mask.firstKey(q));
      auto last = std::upper_bound(begin, end, required.lastKey(q));
      if (table.reachFirst[at + i] != first - begin ||
          table.reachLast[at + i] != last - begin)
        return fail("C2", "in cell " + std::to_string(cell) + " position " +
                              std::to_string(q) + " is shown cached rows [" +
                              std::to_string(table.reachFirst[at + i]) + "," +
                              std::to_string(table.reachLast[at + i]) +
                              "), it sees [" + std::to_string(first - begin) +
                              "," + std::to_string(last - begin) + ")");
    }
  }
  return {};
}

Expected<void> Check::clientReach() const {
  IndexList first, last;
  if (table.hasClientReach)
    for (int32_t q : routes.tables().clientPosition) {
      first.push_back(static_cast<int32_t>(required.mask.firstKey(q)));
      last.push_back(static_cast<int32_t>(required.lastKey(q) + 1));
    }
  if (table.clientReachFirst != first || table.clientReachLast != last)
    return fail("C2", "the client's queries are shown other positions than "
                      "they see");
  return {};
}

/// C1 for a step: the rows of client and CompNodes are those of the sets, and
/// the wanted ones come back.
Expected<void> verifyRows(const Routes &routes) {
  const Plan &plan = routes.plan();
  const RouteTables &tables = routes.tables();
  Position begin = routes.step().position, end = begin + routes.step().rows;
  IndexList client, comp, compBegin = {0}, wanted;
  auto append = [](IndexList &list, Position from, Position to) {
    for (; from < to; ++from)
      list.push_back(static_cast<int32_t>(from));
  };
  if (plan.ranks[Plan::clientNode()] == routes.rank()) {
    append(client, begin, end);
    append(wanted, end - routes.step().wanted, end);
  }
  for (int32_t i = 0; i < plan.comps(); ++i)
    if (plan.ranks[plan.compNode(i)] == routes.rank()) {
      plan.R[i].forEachRun(begin, end, [&](Position from, Position to) {
        append(comp, from, to);
      });
      compBegin.push_back(static_cast<int32_t>(comp.size()));
    }
  struct {
    const char *what;
    const IndexList &got;
    const IndexList &due;
  } lists[] = {{"client.position", tables.clientPosition, client},
               {"comp.begin", tables.compBegin, compBegin},
               {"comp.position", tables.compPosition, comp},
               {"leave.position", tables.leavePosition, wanted}};
  for (const auto &list : lists)
    if (list.got != list.due)
      return Error{"C1: " + std::string(list.what) + " at rank " +
                   std::to_string(routes.rank()) + " is not what the sets say"};
  return {};
}

} // namespace

Expected<void> verifyCoverage(const std::vector<Routes> &routes) {
  for (const Routes &rank : routes)
    if (auto status = verifyRows(rank); !status)
      return status;
  for (const Routes &rank : routes)
    for (size_t mask = 0; mask < rank.masks().size(); ++mask) {
      Check check(rank, mask);
      for (auto part : {&Check::cells, &Check::queries, &Check::keys,
                        &Check::merges, &Check::reach, &Check::clientReach})
        if (auto status = (check.*part)(); !status)
          return status;
    }
  return {};
}

} // namespace rshard::tokenset
