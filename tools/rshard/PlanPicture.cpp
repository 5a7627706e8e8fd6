//===- PlanPicture.cpp - who holds which tokens, for the terminal ---------===//

#include "PlanPicture.h"
#include <algorithm>
#include <vector>

using namespace rshard::tool;
using namespace rshard::tokenset;

std::string rshard::tool::listMembers(const TokenSet &set, int64_t base) {
  constexpr int64_t most = 8;
  Position stop =
      set.isFinite() ? set.horizon() : set.horizon() + 2 * set.period();
  std::string text = "[";
  int64_t count = 0;
  Position p = set.next(0);
  for (; p != kNever && p < stop && count < most; p = set.next(p + 1))
    text += (count++ ? "," : "") + std::to_string(p + base);
  return text + (p == kNever ? "]" : "..]");
}

std::string rshard::tool::listSets(const Partition &sets, int64_t base) {
  std::string text = sets.name() + " = ";
  for (int32_t i = 0; i < sets.size(); ++i)
    text += (i ? ", " : "") + listMembers(sets[i], base);
  return text;
}

namespace {
struct Row {
  std::string name;
  const TokenSet *set;
};
} // namespace

/// The sets of a plan with the names of the nodes that hold them. `grid` names
/// a set of queries and keys by one number if S = T.
static std::vector<Row> getRows(const Plan &plan) {
  std::vector<Row> rows;
  for (int32_t i = 0; i < plan.comps(); ++i)
    rows.push_back({plan.nodeName(plan.compNode(i)), &plan.R[i]});
  bool same = plan.S == plan.T;
  for (int32_t j = 0; j < plan.queryShards(); ++j) {
    std::string index = std::to_string(j);
    rows.push_back(
        {"attn(" + index + ",*)" + (same ? " attn(*," + index + ")" : ""),
         &plan.S[j]});
  }
  for (int32_t k = 0; !same && k < plan.keyShards(); ++k)
    rows.push_back({"attn(*," + std::to_string(k) + ")", &plan.T[k]});
  return rows;
}

static std::string pad(const std::string &text, size_t width) {
  return text + std::string(width > text.size() ? width - text.size() : 0, ' ');
}

/// The heading before row `index`, empty if there is none.
static std::string getHeading(const Plan &plan, int32_t index) {
  if (index == 0)
    return "hidden rows (R)";
  if (index == plan.comps())
    return plan.S == plan.T ? "queries, keys and values (S = T)"
                            : "queries (S)";
  if (plan.S != plan.T && index == plan.comps() + plan.queryShards())
    return "keys and values (T)";
  return "";
}

std::string rshard::tool::tabulatePlan(const Plan &plan, int64_t base) {
  std::vector<Row> rows = getRows(plan);
  size_t nameWidth = 0, setWidth = 0;
  for (const Row &row : rows) {
    nameWidth = std::max(nameWidth, row.name.size());
    setWidth = std::max(setWidth, row.set->print().size());
  }
  std::string text;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (std::string heading = getHeading(plan, int32_t(i)); !heading.empty())
      text += heading + "\n";
    text += "  " + pad(rows[i].name, nameWidth) + "  " +
            pad(rows[i].set->print(), setWidth) + "  " +
            listMembers(*rows[i].set, base) + "\n";
  }
  return text;
}

std::string rshard::tool::drawPlan(const Plan &plan, int64_t columns,
                                   int64_t base) {
  std::vector<Row> rows = getRows(plan);
  size_t nameWidth = 0;
  for (const Row &row : rows)
    nameWidth = std::max(nameWidth, row.name.size());
  columns = std::min<int64_t>(columns, plan.limit());
  // Every tenth position has its number, as far as there is room.
  std::string ruler;
  for (Position p = 0; p < columns; ++p) {
    std::string number = std::to_string(p + base);
    if ((p + base) % 10 == 0 && ruler.size() <= size_t(p)) {
      ruler.resize(size_t(p), ' ');
      if (p + int64_t(number.size()) <= columns)
        ruler += number;
    }
  }
  std::string text = pad("  position", nameWidth + 4) + ruler + "\n";
  for (const Row &row : rows) {
    text += "  " + pad(row.name, nameWidth) + "  ";
    for (Position p = 0; p < columns; ++p)
      text += row.set->contains(p) ? '#' : '.';
    text += "\n";
  }
  return text;
}
