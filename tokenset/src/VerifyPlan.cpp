// C1 and C2 of a plan, from its sets alone.

#include "rshard/tokenset/Verify.h"

namespace rshard::tokenset {
namespace {

Expected<void> verifyFamily(const Partition &family, Position length) {
  // Again from the sets: what a Partition object was built from does not count.
  auto again = Partition::create(family.name(), family.sets());
  if (!again)
    return again.error();
  if (again->limit() < length)
    return Error{"C1: position " + std::to_string(again->limit()) +
                 " is owned by no set of " + family.name()};
  return {};
}

} // namespace

Expected<void> verifyOwnership(const Plan &plan, Position length) {
  for (const Partition *family : {&plan.R, &plan.S, &plan.T})
    if (auto status = verifyFamily(*family, length); !status)
      return status;
  return {};
}

Expected<void> verifyCoverage(const Plan &plan, Position length) {
  if (auto status = validate(plan); !status)
    return status;
  for (const Partition *family : {&plan.S, &plan.T})
    if (auto status = verifyFamily(*family, length); !status)
      return Error{"C2: a query or key is in no cell or in two: " +
                   status.error().message};
  return {};
}

} // namespace rshard::tokenset
