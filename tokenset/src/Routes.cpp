#include "RoutesState.h"

namespace rshard::tokenset {
namespace {

Expected<void> check(const Plan &plan, int64_t capacity, int64_t largestStep,
                     int32_t rank) {
  if (auto status = validate(plan); !status)
    return status;
  if (capacity < 1 || capacity > std::numeric_limits<int32_t>::max())
    return Error{"capacity " + std::to_string(capacity) +
                 ": it must be from 1 to 2147483647"};
  if (capacity > plan.limit())
    return Error{"C1: capacity " + std::to_string(capacity) +
                 " is beyond the " + std::to_string(plan.limit()) +
                 " positions that the plan's finite sets own"};
  if (largestStep < 1)
    return Error{"largest step " + std::to_string(largestStep) +
                 ": it must be at least 1"};
  if (rank < 0 || rank >= plan.rankCount())
    return Error{"rank " + std::to_string(rank) + ": the plan has ranks 0 to " +
                 std::to_string(plan.rankCount() - 1)};
  return {};
}

/// densest(R_i & S_j), or a bound if the sets have no common period.
int64_t densestCommon(const TokenSet &a, const TokenSet &b, int64_t rows,
                      int64_t capacity) {
  auto common = a.intersect(b);
  return common
             ? common->densest(rows, capacity)
             : std::min(a.densest(rows, capacity), b.densest(rows, capacity));
}

/// How many rows of the CompNodes here go to other ranks, and how many go
/// anywhere, if each goes to every rank of its grid row or column.
struct Fan {
  int64_t others = 0;
  int64_t everyone = 0;
};
Fan fanOut(const Plan &plan, std::span<const int32_t> comps,
           const Partition &shards, const ListOfLists &ranks, int32_t rank,
           int64_t rows, int64_t capacity) {
  Fan fan;
  for (int32_t shard = 0; shard < shards.size(); ++shard) {
    auto list = ranks[shard];
    int64_t everyone = static_cast<int64_t>(list.size());
    int64_t others = everyone - std::count(list.begin(), list.end(), rank);
    for (int32_t i : comps) {
      int64_t most = densestCommon(plan.R[i], shards[shard], rows, capacity);
      fan.others += most * others;
      fan.everyone += most * everyone;
    }
  }
  return fan;
}

} // namespace

Expected<RouteBounds> routeBounds(const Plan &plan, int64_t capacity,
                                  int64_t largestStep, int32_t rank) {
  if (auto status = check(plan, capacity, largestStep, rank); !status)
    return status.error();
  Topology topology(plan);
  RouteBounds bounds;
  int64_t rows = bounds.step = std::min(largestStep, capacity);
  bool client = topology.clientRank == rank;
  bounds.client = client ? rows : 0;

  // Distinct rows of one step: never more than the step has.
  int64_t elsewhere = 0;
  for (int32_t i = 0; i < plan.comps(); ++i)
    (topology.compRank[i] == rank ? bounds.comp : elsewhere) +=
        plan.R[i].densest(rows, capacity);
  bounds.comp = std::min(bounds.comp, rows);
  elsewhere = std::min(elsewhere, rows);
  for (int32_t j : topology.rowsOfRank[rank]) {
    int64_t most = plan.S[j].densest(rows, capacity);
    bounds.query += most;
    for (int32_t k = 0; k < plan.keyShards(); ++k)
      bounds.reach += plan.ranks[plan.attnNode(j, k)] == rank ? most : 0;
  }
  bounds.query = std::min(bounds.query, rows);
  for (int32_t k = 0; k < plan.keyShards(); ++k) {
    auto ranks = topology.ranksOfColumn[k];
    if (std::find(ranks.begin(), ranks.end(), rank) == ranks.end())
      continue;
    bounds.append += plan.T[k].densest(rows, capacity);
    bounds.cache = std::max(bounds.cache, plan.T[k].rank(capacity));
  }
  bounds.append = std::min(bounds.append, rows);

  auto comps = topology.compsOfRank[rank];
  Fan queries =
      fanOut(plan, comps, plan.S, topology.ranksOfRow, rank, rows, capacity);
  Fan keys =
      fanOut(plan, comps, plan.T, topology.ranksOfColumn, rank, rows, capacity);
  bounds.poolEnter = client ? rows : bounds.comp;
  bounds.sendEnter = client ? elsewhere : 0;
  bounds.poolQuery = std::min(rows, bounds.comp + bounds.query);
  bounds.sendQuery = queries.others;
  bounds.poolKey = std::min(rows, bounds.comp + bounds.append);
  bounds.sendKey = keys.others;
  // One partial comes back for each query row and rank.
  bounds.poolPartial = bounds.query + queries.others;
  bounds.sendPartial = elsewhere > 0 ? std::min(bounds.query, elsewhere) : 0;
  bounds.merge = queries.everyone;
  bounds.poolLeave = client ? rows : bounds.comp;
  bounds.sendLeave = client ? 0 : bounds.comp;
  int64_t most = std::max(
      {bounds.poolPartial, bounds.sendKey, bounds.merge, bounds.reach});
  if (most > std::numeric_limits<int32_t>::max())
    return Error{"a step of " + std::to_string(rows) +
                 " rows may need a table of " + std::to_string(most) +
                 " rows at rank " + std::to_string(rank) +
                 ", the limit is 2147483647"};
  return bounds;
}

Routes::State::State(const Plan &from, std::vector<Mask> masks,
                     int64_t capacity, int32_t rank, const RouteBounds &bounds)
    : plan(from), masks(std::move(masks)), capacity(capacity), rank(rank),
      topology(plan), bounds(bounds), rowIndex(plan.queryShards(), -1),
      columnIndex(plan.keyShards(), -1), rowSlotHere(plan.queryShards(), -1),
      columnSlotHere(plan.keyShards(), -1) {
  auto own = topology.compsOfRank[rank];
  comps.assign(own.begin(), own.end());
  for (int32_t j = 0; j < plan.queryShards(); ++j)
    lastQuery.push_back(plan.S[j].previous(capacity));
  for (int32_t k = 0; k < plan.keyShards(); ++k)
    firstKey.push_back(plan.T[k].next(0));

  MaskTables cells;
  for (int32_t k = 0; k < plan.keyShards(); ++k)
    for (int32_t j = 0; j < plan.queryShards(); ++j)
      if (plan.ranks[plan.attnNode(j, k)] == rank && columnIndex[k] < 0) {
        columnIndex[k] = static_cast<int32_t>(gridColumns.size());
        columnSlotHere[k] = topology.columnSlot[topology.cellOf(j, k)];
        gridColumns.push_back(k);
      }
  for (int32_t j = 0; j < plan.queryShards(); ++j)
    for (int32_t k = 0; k < plan.keyShards(); ++k) {
      if (plan.ranks[plan.attnNode(j, k)] != rank)
        continue;
      bool first = rowIndex[j] < 0;
      if (first) {
        rowIndex[j] = static_cast<int32_t>(gridRows.size());
        rowSlotHere[j] = topology.rowSlot[topology.cellOf(j, k)];
        gridRows.push_back(j);
      }
      cells.cellRow.push_back(rowIndex[j]);
      cells.cellColumn.push_back(columnIndex[k]);
      cells.cellFirst.push_back(first);
    }
  cells.cacheLength.assign(gridColumns.size(), 0);
  tables.masks.assign(this->masks.size(), cells);
  // The only tables that grow with the capacity.
  for (MaskTables &mask : tables.masks)
    mask.cachePosition.assign(gridColumns.size() * bounds.cache, 0);

  // Everything that a fill appends to fits from now on.
  size_t transfers = size_t(Transfer::kFields) * 6 * topology.rankCount;
  auto reserve = [](std::initializer_list<IndexList *> lists, int64_t size) {
    for (IndexList *list : lists)
      list->reserve(size);
  };
  int64_t n = bounds.step;
  reserve({&compOf, &rowOf, &columnOf, &byComp, &tableRow, &poolRow, &queryRow},
          n);
  reserve({&tables.clientPosition, &tables.leaveSource, &tables.leavePosition},
          bounds.client);
  reserve({&tables.compPosition, &tables.enterSource, &tables.leavePack,
           &ownRow, &bucket},
          bounds.comp);
  reserve({&tables.enterTransfer, &tables.leaveTransfer}, transfers);
  reserve({&tables.enterPack}, bounds.sendEnter);
  reserve({&tables.compBegin}, comps.size() + 1);
  partialRow.reserve(bounds.comp * topology.rowSlots);
  shown.reserve(n * topology.rowSlots);
  needed.reserve(n * topology.columnSlots);
  int64_t shards = std::max(plan.queryShards(), plan.keyShards());
  nearest.reserve(shards);
  cursor.reserve(std::max<int64_t>({shards, plan.comps(), topology.rankCount}));
  bucketBegin.reserve(shards + 1);
  compBegin.reserve(plan.comps() + 1);
  for (PeerRows *peers :
       {&sendQuery, &receiveQuery, &sendKey, &receiveKey, &send, &receive})
    peers->reset(topology.rankCount);
  for (MaskTables &mask : tables.masks) {
    mask.upQueryPack.reserve(bounds.sendQuery);
    mask.upKeyPack.reserve(bounds.sendKey);
    reserve({&mask.upTransfer, &mask.downTransfer}, transfers);
    reserve({&mask.queryBegin}, gridRows.size() + 1);
    reserve({&mask.querySource, &mask.queryPosition, &mask.downPack},
            bounds.query);
    reserve({&mask.appendBegin}, gridColumns.size() + 1);
    reserve({&mask.appendSource, &mask.appendRow}, bounds.append);
    mask.mergeBegin.reserve(bounds.comp + 1);
    mask.mergeSource.reserve(bounds.merge);
  }
}

Routes::Routes(std::unique_ptr<State> state) : state(std::move(state)) {}
Routes::Routes(Routes &&) noexcept = default;
Routes &Routes::operator=(Routes &&) noexcept = default;
Routes::~Routes() = default;

Expected<Routes> Routes::create(const Plan &plan, std::vector<Mask> masks,
                                int64_t capacity, int64_t largestStep,
                                int32_t rank) {
  auto bounds = routeBounds(plan, capacity, largestStep, rank);
  if (!bounds)
    return bounds.error();
  if (masks.empty())
    return Error{"routes need at least one mask"};
  for (const Mask &mask : masks)
    if (mask.kind == MaskKind::Window && mask.window < 1)
      return Error{"window " + std::to_string(mask.window) +
                   ": it must be at least 1"};
  return Routes(
      std::make_unique<State>(plan, std::move(masks), capacity, rank, *bounds));
}

Expected<void> Routes::fill(const Step &step) {
  State &s = *state;
  // Only an error spends time on its message.
  auto at = [&step] {
    return "step of " + std::to_string(step.rows) + " rows at position " +
           std::to_string(step.position);
  };
  if (step.position < 0 || step.position > s.length)
    return Error{"C5: " + at() + ": the rows routed so far end at " +
                 std::to_string(s.length)};
  if (step.rows < 1 || step.rows > s.bounds.step)
    return Error{at() + ": a step has from 1 to " +
                 std::to_string(s.bounds.step) + " rows"};
  if (step.rows > s.capacity - step.position)
    return Error{at() + ": the capacity is " + std::to_string(s.capacity)};
  if (step.wanted < 0 || step.wanted > step.rows)
    return Error{at() + ": " + std::to_string(step.wanted) +
                 " rows are wanted back"};
  for (const Mask &mask : s.masks)
    if (mask.kind == MaskKind::Full && step.position > 0)
      return Error{"C5: " + at() +
                   ": a bidirectional model takes one step, from "
                   "position 0"};
  truncate(step.position);
  s.step = step;
  if (s.plan.clientLast > 0)
    s.step.wanted = step.rows;
  s.routeRows();
  s.routeEnter();
  for (size_t c = 0; c < s.masks.size(); ++c) {
    s.routeQueries(c);
    s.routeKeys(c);
    s.emitUp(c);
    s.routePartials(c);
    s.routeReach(c);
    s.routeClientReach(c);
  }
  s.routeLeave();
  s.length = step.position + step.rows;
  return {};
}

void Routes::truncate(Position p) {
  State &s = *state;
  if (p >= s.length)
    return;
  s.length = std::max<Position>(p, 0);
  for (MaskTables &mask : s.tables.masks)
    for (size_t k = 0; k < s.gridColumns.size(); ++k) {
      auto begin = mask.cachePosition.begin() + k * s.bounds.cache;
      mask.cacheLength[k] = static_cast<int32_t>(
          std::lower_bound(begin, begin + mask.cacheLength[k], p) - begin);
    }
}

const RouteTables &Routes::tables() const { return state->tables; }
const RouteBounds &Routes::bounds() const { return state->bounds; }
Position Routes::length() const { return state->length; }
int32_t Routes::rank() const { return state->rank; }
const Step &Routes::step() const { return state->step; }
const Plan &Routes::plan() const { return state->plan; }
const std::vector<Mask> &Routes::masks() const { return state->masks; }
int64_t Routes::capacity() const { return state->capacity; }
const std::vector<int32_t> &Routes::comps() const { return state->comps; }
const std::vector<int32_t> &Routes::gridRows() const { return state->gridRows; }
const std::vector<int32_t> &Routes::gridColumns() const {
  return state->gridColumns;
}

} // namespace rshard::tokenset
