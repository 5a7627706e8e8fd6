#include "rshard/tokenset/Plan.h"
#include "rshard/tokenset/Placement.h"

namespace rshard::tokenset {

int32_t Plan::rankCount() const {
  return ranks.empty() ? 0 : *std::max_element(ranks.begin(), ranks.end()) + 1;
}

std::string Plan::nodeName(int32_t node) const {
  if (node == clientNode())
    return "client";
  if (node <= comps())
    return "comp(" + std::to_string(node - 1) + ")";
  int32_t cell = node - 1 - comps();
  return "attn(" + std::to_string(cell / keyShards()) + "," +
         std::to_string(cell % keyShards()) + ")";
}

Plan Plan::shifted(int64_t delta) const {
  Plan plan = *this;
  plan.R = R.shifted(delta);
  plan.S = S.shifted(delta);
  plan.T = T.shifted(delta);
  return plan;
}

Expected<RowTypes> parseRowTypes(std::string_view activations,
                                 std::string_view partials) {
  auto rows = elementTypeFromName(activations);
  if (!rows || *rows == ElementType::I32)
    return Error{"activations are " + std::string(activations) +
                 " vs f32, bf16 or f16"};
  auto outputs = elementTypeFromName(partials);
  if (!outputs || (*outputs != ElementType::F32 && *outputs != *rows))
    return Error{"partials are " + std::string(partials) +
                 " vs f32 or the activations' " + std::string(activations)};
  return RowTypes{*rows, *outputs};
}

Expected<void> validate(const Plan &plan) {
  constexpr int64_t kNodeLimit = 1 << 20;
  for (const Partition *family : {&plan.R, &plan.S, &plan.T})
    if (family->size() == 0 || family->limit() == 0)
      return Error{"C1: " +
                   std::string(family == &plan.R   ? "R"
                               : family == &plan.S ? "S"
                                                   : "T") +
                   " owns no position"};
  int64_t nodes =
      1 + plan.comps() + int64_t(plan.queryShards()) * plan.keyShards();
  if (nodes > kNodeLimit)
    return Error{"the plan has " + std::to_string(nodes) +
                 " nodes, the limit is " + std::to_string(kNodeLimit)};
  if (int64_t(plan.ranks.size()) != nodes)
    return Error{"C2: ranks are given for " +
                 std::to_string(plan.ranks.size()) + " nodes, the plan has " +
                 std::to_string(nodes)};
  if (auto dense = checkRanks(plan.ranks); !dense)
    return dense.error();
  if (plan.clientFirst < 0 || plan.clientLast < 0)
    return Error{"client layers " + std::to_string(plan.clientFirst) + "," +
                 std::to_string(plan.clientLast) + " must not be negative"};
  auto types = parseRowTypes(elementTypeName(plan.types.activations),
                             elementTypeName(plan.types.partials));
  return types ? Expected<void>() : types.error();
}

void placeApart(Plan &plan) {
  plan.ranks.resize(plan.nodes());
  for (int32_t node = 0; node < plan.nodes(); ++node)
    plan.ranks[node] = node;
}

Expected<void> place(Plan &plan, int64_t count) {
  int64_t nodes = plan.nodes();
  if (count < 1 || count > nodes)
    return Error{"--ranks " + std::to_string(count) + ": the plan has " +
                 std::to_string(nodes) + " nodes, so 1 to " +
                 std::to_string(nodes) + " ranks"};
  plan.ranks.resize(nodes);
  for (int64_t node = 0; node < nodes; ++node)
    plan.ranks[node] = static_cast<int32_t>(node * count / nodes);
  return {};
}

} // namespace rshard::tokenset
