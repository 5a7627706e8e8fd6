//===- StepRows.h - which rows of a step a message holds --------*- C++ -*-===//

#ifndef RSHARD_LIB_INTERPRETER_STEPROWS_H
#define RSHARD_LIB_INTERPRETER_STEPROWS_H

#include "RShard/RShard.h"
#include "rshard/Interpreter/Tensor.h"
#include "rshard/tokenset/Mask.h"
#include "rshard/tokenset/Plan.h"
#include <map>
#include <tuple>

namespace rshard::interpreter {

/// What a node is: its role and its number there (CompNode i; cell (j, k)).
struct NodeName {
  Role role;
  int32_t comp = 0;
  int32_t row = 0, column = 0;
};
NodeName getNode(const tokenset::Plan &plan, int32_t node);

/// The table of `rshard.route`, position by position: asks the sets who owns a
/// position and the mask who sees whom, and nothing else.
class StepRows {
public:
  /// A step at positions [begin, end) of a session of `capacity`; the client
  /// gets the last `returned` rows back.
  StepRows(const tokenset::Plan &plan, int64_t begin, int64_t end,
           int64_t capacity, int64_t returned)
      : plan(plan), begin(begin), end(end), capacity(capacity),
        returned(returned) {}

  /// The rows that `node` has in hand to send, ascending.
  Ids held(const tokenset::Mask &mask, int32_t node) const;
  /// Those that `from` sends to `to`. All layers of a mask share them.
  const Ids &sent(RouteKind kind, const tokenset::Mask &mask, int32_t from,
                  int32_t to);
  /// C2: some key in column `column` is visible to the query at `position` in
  /// this step.
  bool showsKey(const tokenset::Mask &mask, int64_t position,
                int32_t column) const;
  /// C2: some query of row `row`, of this step or a later one within the
  /// capacity, sees the key at `position`.
  bool isSeen(const tokenset::Mask &mask, int64_t position, int32_t row) const;

private:
  const tokenset::Plan &plan;
  int64_t begin, end, capacity, returned;
  std::map<std::tuple<RouteKind, tokenset::MaskKind, int64_t, int32_t, int32_t>,
           Ids>
      known;
};

} // namespace rshard::interpreter

#endif // RSHARD_LIB_INTERPRETER_STEPROWS_H
