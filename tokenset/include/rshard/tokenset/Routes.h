// Which rows of a step one rank sends, receives, caches and merges.

#ifndef RSHARD_TOKENSET_ROUTES_H
#define RSHARD_TOKENSET_ROUTES_H

#include "rshard/tokenset/Mask.h"
#include "rshard/tokenset/Plan.h"

#include <memory>

namespace rshard::tokenset {

using IndexList = std::vector<int32_t>;

/// One message of an exchange, as five consecutive int32 of a transfer table.
/// Tables are sorted by (source rank, destination rank, tensor) (C6). `begin`
/// counts rows of the send staging buffer for a send, and rows of the pool for
/// a receive; `count` is never 0, `peer` never the own rank.
struct Transfer {
  static constexpr int kFields = 5;
  int32_t tensor;
  int32_t isSend;
  int32_t peer;
  int32_t begin;
  int32_t count;
  bool operator==(const Transfer &) const = default;
};
/// The entry `index` of a transfer table.
inline Transfer transferAt(const IndexList &table, size_t index) {
  const int32_t *field = table.data() + index * Transfer::kFields;
  return {field[0], field[1], field[2], field[3], field[4]};
}
inline size_t transferCount(const IndexList &table) {
  return table.size() / Transfer::kFields;
}

/// The tables of the layers that share one mask. A pool is a buffer whose own
/// rows come first and are followed by the received ones, by source rank; the
/// rows of one message are in the row order of the CompNode rank (queries,
/// keys) or of the AttnNode rank (partials).
struct MaskTables {
  // Exchange up: tensors 0 = query, 1 = key, 2 = value. The packs are rows of
  // the CompNodes on this rank, in sending order; key and value share one.
  IndexList upQueryPack, upKeyPack, upTransfer;
  // Per grid row j with cells here, ascending: the step's rows of S_j that some
  // cell (j,k) here shows at least one key (C2), as rows of pool `query`.
  IndexList queryBegin, querySource, queryPosition;
  // Per grid column k with cells here, ascending: the step's rows of T_k that
  // this rank caches, as rows of pools `key` and `value`, and their cache rows.
  IndexList appendBegin, appendSource, appendRow;
  // Per column, after the append: the number of cached rows, and their
  // positions, cacheRows entries a column, ascending; entries beyond the length
  // are meaningless.
  IndexList cacheLength, cachePosition;
  // The cells here in node order: local indices of grid row and column, and 1
  // for the first cell of a grid row.
  IndexList cellRow, cellColumn, cellFirst;
  // Exchange down: tensors 0 = o, 1 = lse. The pack holds rows of query*.
  IndexList downPack, downTransfer;
  // Per CompNode row here: rows of pool `partial` = [own query* rows |
  // received], in order of the smallest k of the sending rank in that grid row
  // (C3).
  IndexList mergeBegin, mergeSource;
  // Per cell in node order: for each of its grid row's queries, the cached rows
  // [first, last) of its column that the query sees after the append. Only if
  // Routes::want asked for one of them.
  IndexList reachBegin, reachFirst, reachLast;
  bool hasReach = false;
  // For each row of the step on the client's rank: the same of the client's
  // caches, which hold all positions. Only if asked for.
  IndexList clientReachFirst, clientReachLast;
  bool hasClientReach = false;
};

struct RouteTables {
  /// Positions of the step's rows on the client's rank, else empty.
  IndexList clientPosition;
  // Rows of the CompNodes here: node order, ascending positions in a node.
  IndexList compBegin, compPosition;
  // Exchange enter, client -> CompNodes, tensor 0: pool `enter` = [step's rows,
  // if the client lives here | received].
  IndexList enterPack, enterTransfer, enterSource;
  std::vector<MaskTables> masks;
  // Exchange leave, CompNodes -> client, tensor 0: pool `leave` = [CompNode
  // rows here | received]; source and position of the rows that the client
  // wants.
  IndexList leavePack, leaveTransfer, leaveSource, leavePosition;

  /// The table of that name (`enter.pack`, `up0.transfer`, `cache1.position`:
  /// the digit is the mask class), null if there is none. Its address is stable
  /// while the Routes object lives, its data only until the next fill.
  const IndexList *find(std::string_view name) const;
  /// All names, in order of their exchange.
  static std::vector<std::string> names(size_t maskClasses);
};

/// Upper bounds, in rows, over all steps of at most `largestStep` rows within
/// the capacity. Pools include their own part.
struct RouteBounds {
  int64_t step = 0;   ///< rows of a step
  int64_t client = 0; ///< `step` on the client's rank, else 0
  int64_t comp = 0;   ///< CompNode rows
  int64_t query = 0;  ///< rows of query*, the own part of pool `partial`
  int64_t append = 0; ///< rows of append*
  int64_t cache = 0;  ///< rows of one column's cache
  int64_t poolEnter = 0, sendEnter = 0;
  int64_t poolQuery = 0, sendQuery = 0;
  int64_t poolKey = 0, sendKey = 0;
  int64_t poolPartial = 0, sendPartial = 0;
  int64_t poolLeave = 0, sendLeave = 0;
  int64_t merge = 0; ///< entries of merge*.source
  int64_t reach = 0; ///< entries of reach*.first
};

/// One step: rows at positions [position, position + rows).
struct Step {
  Position position = 0;
  int64_t rows = 1;
  /// The client wants the last `wanted` rows back; all of them if it runs the
  /// last layers itself.
  int64_t wanted = 1;
};

/// The routes of one rank, with the positions that its caches hold (C5). fill()
/// allocates nothing.
class Routes {
public:
  /// Errors: an invalid plan, a capacity beyond the plan's limit or 2^31 - 1,
  /// a rank that the plan does not have, a window < 1, no mask.
  static Expected<Routes> create(const Plan &plan, std::vector<Mask> masks,
                                 int64_t capacity, int64_t largestStep,
                                 int32_t rank);
  Routes(Routes &&) noexcept;
  Routes &operator=(Routes &&) noexcept;
  ~Routes();

  /// Routes a step: forgets what was cached at or after its position, then
  /// appends. Errors leave everything as it was: a position beyond the rows
  /// routed so far, rows < 1 or beyond the largest step or the capacity, a
  /// position > 0 with a full mask (C5), wanted outside [0, rows].
  Expected<void> fill(const Step &step);

  /// The table of that name, null if there is none. A step fills reach* and
  /// client.reach* only if one of the mask class has been asked for here
  /// before: not every program has attention of that class on this side.
  const IndexList *want(std::string_view name);

  const RouteTables &tables() const;
  const RouteBounds &bounds() const;
  /// Rows routed so far: the position after the last step.
  Position length() const;
  /// Forgets everything cached at or after p; no effect beyond length().
  void truncate(Position p);

  int32_t rank() const;
  const Step &step() const;
  const Plan &plan() const;
  const std::vector<Mask> &masks() const;
  int64_t capacity() const;
  /// CompNodes, grid rows and grid columns with nodes here, ascending.
  const std::vector<int32_t> &comps() const;
  const std::vector<int32_t> &gridRows() const;
  const std::vector<int32_t> &gridColumns() const;

private:
  struct State;
  explicit Routes(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

/// Bounds without a Routes object, e.g. to plan memory. Same errors.
Expected<RouteBounds> routeBounds(const Plan &plan, int64_t capacity,
                                  int64_t largestStep, int32_t rank);

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_ROUTES_H
