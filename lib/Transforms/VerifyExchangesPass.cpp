//===- VerifyExchangesPass.cpp - C6 of a module's programs ----------------===//

#include "rshard/Analysis/Exchanges.h"
#include "rshard/Analysis/Messages.h"
#include "rshard/Transforms/Passes.h"

namespace rshard {
#define GEN_PASS_DEF_VERIFYEXCHANGESPASS
#include "rshard/Transforms/Passes.h.inc"
} // namespace rshard

using namespace mlir;
using namespace rshard;

namespace {
struct VerifyExchangesPass
    : rshard::impl::VerifyExchangesPassBase<VerifyExchangesPass> {
  using VerifyExchangesPassBase::VerifyExchangesPassBase;
  void runOnOperation() override {
    FailureOr<int64_t> exchanges = verifyExchanges(getOperation());
    if (failed(exchanges))
      return signalPassFailure();
    FailureOr<RoutedMessages> routed = verifyMessages(getOperation(), length);
    if (failed(routed))
      return signalPassFailure();
    numExchanges = static_cast<unsigned>(*exchanges);
    numSteps = static_cast<unsigned>(routed->steps);
    numMessages = static_cast<unsigned>(routed->messages);
    markAllAnalysesPreserved();
  }
};
} // namespace
