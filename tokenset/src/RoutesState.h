// What a Routes object keeps: tables, cache state, and scratch for a fill.

#ifndef RSHARD_TOKENSET_SRC_ROUTESSTATE_H
#define RSHARD_TOKENSET_SRC_ROUTESSTATE_H

#include "Topology.h"
#include "rshard/tokenset/Routes.h"

namespace rshard::tokenset {

/// Rows per peer rank, in the order of a staging buffer or of a pool.
struct PeerRows {
  std::vector<int32_t> begin;
  std::vector<int32_t> count;

  void reset(size_t ranks) {
    begin.assign(ranks, 0);
    count.assign(ranks, 0);
  }
  /// Turns the counts into begins by rank; returns the end.
  int32_t layOut(int32_t from) {
    for (size_t rank = 0; rank < begin.size(); ++rank) {
      begin[rank] = from;
      from += count[rank];
    }
    return from;
  }
};

/// In a fill, `t` counts the step's rows by position, `x` the CompNode rows
/// here in table order.
struct Routes::State {
  State(const Plan &plan, std::vector<Mask> masks, int64_t capacity,
        int32_t rank, const RouteBounds &bounds);

  // Fill, in this order.
  void routeRows();             // RouteRows.cpp: owners, comp.*
  void routeEnter();            // RouteRows.cpp
  void routeLeave();            // RouteRows.cpp
  void routeQueries(size_t c);  // RouteQueries.cpp
  void routeKeys(size_t c);     // RouteKeys.cpp
  void routePartials(size_t c); // RoutePartials.cpp
  void emitUp(size_t c);        // RouteKeys.cpp: both, as one exchange
  void routeReach(size_t c);    // RouteReach.cpp
  void routeClientReach(size_t c);

  void markShown(const Mask &mask);
  void markNeeded(const Mask &mask);
  bool isShown(int32_t t, int32_t slot) const {
    return allShown || shown[t * topology.rowSlots + slot];
  }
  bool isNeeded(int32_t t, int32_t slot) const {
    return allNeeded || needed[t * topology.columnSlots + slot];
  }
  int32_t rows() const { return static_cast<int32_t>(step.rows); }

  Plan plan;
  std::vector<Mask> masks;
  int64_t capacity;
  int32_t rank;
  Topology topology;
  RouteBounds bounds;
  std::vector<int32_t> comps, gridRows, gridColumns; // here, ascending
  std::vector<int32_t> rowIndex, columnIndex;        // local, -1: not here
  std::vector<int32_t> rowSlotHere, columnSlotHere;  // -1: not here
  std::vector<Position> firstKey;                    // min T_k, or kNever
  std::vector<Position> lastQuery; // max of S_j below the capacity, or -1

  Position length = 0;
  Step step;
  RouteTables tables;

  // Scratch, by t: owners; rows grouped by CompNode.
  std::vector<int32_t> compOf, rowOf, columnOf;
  std::vector<int32_t> compBegin, byComp;
  std::vector<int32_t> ownRow;   // x -> t
  std::vector<int32_t> tableRow; // t -> row in the table of its CompNode's rank
  std::vector<int32_t> poolRow;  // t -> row of a pool here, or -1
  std::vector<int32_t> queryRow; // t -> row of query*, or -1
  bool allShown = false, allNeeded = false;
  std::vector<uint8_t> shown, needed; // [t][slot]
  std::vector<Position> nearest;      // per column or grid row
  std::vector<int32_t> cursor;
  std::vector<int32_t> bucketBegin, bucket, partialRow;
  PeerRows sendQuery, receiveQuery, sendKey, receiveKey, send, receive;
};

inline void addTransfer(IndexList &table, int32_t tensor, bool isSend,
                        int32_t peer, int32_t begin, int32_t count) {
  for (int32_t field : {tensor, int32_t(isSend), peer, begin, count})
    table.push_back(field);
}

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_SRC_ROUTESSTATE_H
