// Owners of the step's rows; hidden rows between client and CompNodes.

#include "RoutesState.h"

#include <numeric>

namespace rshard::tokenset {

void Routes::State::routeRows() {
  int32_t n = rows();
  Position p = step.position;
  auto own = [&](const Partition &family, std::vector<int32_t> &owners) {
    owners.resize(n);
    family.forEachPiece(p, p + n, [&](Position begin, Position end, int32_t i) {
      std::fill(owners.begin() + (begin - p), owners.begin() + (end - p), i);
    });
  };
  own(plan.R, compOf);
  own(plan.S, rowOf);
  own(plan.T, columnOf);

  // Group by CompNode; positions stay ascending.
  compBegin.assign(plan.comps() + 1, 0);
  for (int32_t t = 0; t < n; ++t)
    ++compBegin[compOf[t] + 1];
  std::partial_sum(compBegin.begin(), compBegin.end(), compBegin.begin());
  cursor.assign(compBegin.begin(), compBegin.end() - 1);
  byComp.resize(n);
  for (int32_t t = 0; t < n; ++t)
    byComp[cursor[compOf[t]]++] = t;

  tableRow.resize(n);
  for (int32_t a : topology.compRanks) {
    int32_t next = 0;
    for (int32_t i : topology.compsOfRank[a])
      for (int32_t at = compBegin[i]; at < compBegin[i + 1]; ++at)
        tableRow[byComp[at]] = next++;
  }

  tables.compBegin.assign(1, 0);
  tables.compPosition.clear();
  ownRow.clear();
  for (int32_t i : comps) {
    for (int32_t at = compBegin[i]; at < compBegin[i + 1]; ++at) {
      ownRow.push_back(byComp[at]);
      tables.compPosition.push_back(static_cast<int32_t>(p) + byComp[at]);
    }
    tables.compBegin.push_back(static_cast<int32_t>(ownRow.size()));
  }
}

void Routes::State::routeEnter() {
  int32_t n = rows();
  bool client = topology.clientRank == rank;
  tables.clientPosition.clear();
  tables.enterPack.clear();
  tables.enterTransfer.clear();
  tables.enterSource.clear();
  if (!client) {
    // Rows arrive in the order of the own table.
    int32_t count = static_cast<int32_t>(ownRow.size());
    if (count > 0)
      addTransfer(tables.enterTransfer, 0, false, topology.clientRank, 0,
                  count);
    for (int32_t x = 0; x < count; ++x)
      tables.enterSource.push_back(x);
    return;
  }
  for (int32_t t = 0; t < n; ++t)
    tables.clientPosition.push_back(static_cast<int32_t>(step.position) + t);
  tables.enterSource.assign(ownRow.begin(), ownRow.end());
  for (int32_t b : topology.compRanks) {
    if (b == rank)
      continue;
    int32_t begin = static_cast<int32_t>(tables.enterPack.size());
    for (int32_t i : topology.compsOfRank[b])
      tables.enterPack.insert(tables.enterPack.end(),
                              byComp.begin() + compBegin[i],
                              byComp.begin() + compBegin[i + 1]);
    int32_t count = static_cast<int32_t>(tables.enterPack.size()) - begin;
    if (count > 0)
      addTransfer(tables.enterTransfer, 0, true, b, begin, count);
  }
}

void Routes::State::routeLeave() {
  int32_t n = rows();
  int32_t firstWanted = n - static_cast<int32_t>(step.wanted);
  tables.leavePack.clear();
  tables.leaveTransfer.clear();
  tables.leaveSource.clear();
  tables.leavePosition.clear();
  if (topology.clientRank != rank) {
    for (size_t x = 0; x < ownRow.size(); ++x)
      if (ownRow[x] >= firstWanted)
        tables.leavePack.push_back(static_cast<int32_t>(x));
    int32_t count = static_cast<int32_t>(tables.leavePack.size());
    if (count > 0)
      addTransfer(tables.leaveTransfer, 0, true, topology.clientRank, 0, count);
    return;
  }
  poolRow.resize(n);
  for (size_t x = 0; x < ownRow.size(); ++x)
    poolRow[ownRow[x]] = static_cast<int32_t>(x);
  int32_t next = static_cast<int32_t>(ownRow.size());
  for (int32_t a : topology.compRanks) {
    if (a == rank)
      continue;
    int32_t begin = next;
    for (int32_t i : topology.compsOfRank[a])
      for (int32_t at = compBegin[i]; at < compBegin[i + 1]; ++at)
        if (byComp[at] >= firstWanted)
          poolRow[byComp[at]] = next++;
    if (next > begin)
      addTransfer(tables.leaveTransfer, 0, false, a, begin, next - begin);
  }
  for (int32_t t = firstWanted; t < n; ++t) {
    tables.leaveSource.push_back(poolRow[t]);
    tables.leavePosition.push_back(static_cast<int32_t>(step.position) + t);
  }
}

} // namespace rshard::tokenset
