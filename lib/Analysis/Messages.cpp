//===- Messages.cpp - the messages of programs between ranks --------------===//

#include "rshard/Analysis/Messages.h"
#include "DriverMessages.h"
#include "PhasePrograms.h"
#include "RShard/RShard.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/tokenset/StepSequence.h"
#include "rshard/tokenset/Verify.h"

using namespace mlir;
using namespace rshard;

FailureOr<RoutedMessages> rshard::verifyMessages(ModuleOp module,
                                                 int64_t length) {
  FailureOr<tokenset::Plan> plan = readPlan(module);
  FailureOr<RouteSet> found = RouteSet::create(module);
  if (failed(plan) || failed(found))
    return failure();
  length = std::min(length, plan->limit());
  std::vector<tokenset::Mask> masks = found->getMasks();

  auto sequence = tokenset::StepSequence::create(*plan, masks, length);
  if (!sequence)
    return module.emitError() << sequence.error().message;
  FailureOr<func::FuncOp> driver = findDriver(module);
  if (failed(driver))
    return failure();
  std::vector<tokenset::Exchange> exchanges =
      tokenset::listExchanges(masks.size());
  for (;;) {
    auto next = sequence->next();
    if (!next)
      return module.emitError() << next.error().message;
    if (!*next)
      break;
    const std::vector<tokenset::Routes> &ranks = sequence->routes();
    if (auto covered = tokenset::verifyCoverage(ranks); !covered)
      return module.emitError() << covered.error().message;
    if (auto matched = tokenset::verifyMatching(ranks); !matched)
      return module.emitError() << matched.error().message;
    for (const tokenset::Routes &routes : ranks)
      if (*driver && failed(verifyDriverMessages(*driver, exchanges, routes)))
        return failure();
  }
  return RoutedMessages{sequence->steps(), sequence->messages()};
}
