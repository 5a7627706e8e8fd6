//===- StepRows.cpp - which rows of a step a message holds ----------------===//

#include "StepRows.h"

using namespace rshard;
using namespace rshard::interpreter;

NodeName rshard::interpreter::getNode(const tokenset::Plan &plan,
                                      int32_t node) {
  if (node == plan.clientNode())
    return {Role::Client};
  if (node <= plan.comps())
    return {Role::Comp, node - 1};
  int32_t cell = node - 1 - plan.comps();
  return {Role::Attn, 0, cell / plan.keyShards(), cell % plan.keyShards()};
}

bool StepRows::showsKey(const tokenset::Mask &mask, int64_t position,
                        int32_t column) const {
  for (int64_t key = 0; key < end; ++key)
    if (plan.T.owner(key) == column && mask.visible(position, key))
      return true;
  return false;
}

bool StepRows::isSeen(const tokenset::Mask &mask, int64_t position,
                      int32_t row) const {
  // Under a full mask there is one step: no query comes later.
  int64_t stop = mask.kind == tokenset::MaskKind::Full ? end : capacity;
  for (int64_t query = begin; query < stop; ++query)
    if (plan.S.owner(query) == row && mask.visible(query, position))
      return true;
  return false;
}

Ids StepRows::held(const tokenset::Mask &mask, int32_t node) const {
  NodeName name = getNode(plan, node);
  Ids rows;
  for (int64_t p = begin; p < end; ++p) {
    bool isHeld = true; // by the client: everything
    if (name.role == Role::Comp)
      isHeld = plan.R.owner(p) == name.comp;
    else if (name.role == Role::Attn) // partials: of the queries that came
      isHeld = plan.S.owner(p) == name.row && showsKey(mask, p, name.column);
    if (isHeld)
      rows.push_back(p);
  }
  return rows;
}

const Ids &StepRows::sent(RouteKind kind, const tokenset::Mask &mask,
                          int32_t from, int32_t to) {
  auto [entry, isNew] =
      known.try_emplace({kind, mask.kind, mask.window, from, to});
  Ids &rows = entry->second;
  if (!isNew)
    return rows;
  NodeName name = getNode(plan, to);
  for (int32_t p : held(mask, from)) {
    bool isSent = false;
    switch (kind) {
    case RouteKind::Enter:
    case RouteKind::Partial:
      isSent = plan.R.owner(p) == name.comp;
      break;
    case RouteKind::Query:
      isSent = plan.S.owner(p) == name.row && showsKey(mask, p, name.column);
      break;
    case RouteKind::Key:
      isSent = plan.T.owner(p) == name.column && isSeen(mask, p, name.row);
      break;
    case RouteKind::Leave:
      isSent = p >= end - returned;
      break;
    }
    if (isSent)
      rows.push_back(p);
  }
  return rows;
}
