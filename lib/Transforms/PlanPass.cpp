//===- PlanPass.cpp - declare who holds which token -----------------------===//

#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Transforms/Passes.h"
#include "rshard/tokenset/ClusterRule.h"
#include "rshard/tokenset/OpenTypes.h"
#include "llvm/Support/MemoryBuffer.h"

namespace rshard {
#define GEN_PASS_DEF_PLANPASS
#include "rshard/Transforms/Passes.h.inc"
} // namespace rshard

using namespace mlir;
using namespace rshard;

namespace {
struct PlanPass : rshard::impl::PlanPassBase<PlanPass> {
  using PlanPassBase::PlanPassBase;

  void runOnOperation() override {
    tokenset::Expected<tokenset::Plan> plan = makePlan();
    if (!plan) {
      getOperation().emitError() << plan.error().message;
      return signalPassFailure();
    }
    if (failed(attachPlan(getOperation(), *plan)))
      signalPassFailure();
  }

  /// An option that the file's plan would drop is an error.
  tokenset::Expected<tokenset::Plan> readFile() {
    if (comp || cluster || period || group || !attn.empty() || clientFirst ||
        clientLast)
      return tokenset::Error{"file: options of another plan were given too; "
                             "only ranks changes a file's plan"};
    auto buffer = llvm::MemoryBuffer::getFile(file);
    if (!buffer)
      return tokenset::Error{file + ": " + buffer.getError().message()};
    StringRef text = (*buffer)->getBuffer();
    // Its default counts as asked by nobody.
    std::string asked = activations.hasValue() ? activations.getValue() : "";
    auto plan = tokenset::parsePlan(std::string_view(text.data(), text.size()),
                                    {asked, partials}, activations);
    if (!plan)
      return tokenset::Error{file + ": " + plan.error().message};
    if (ranks)
      if (auto placed = tokenset::place(*plan, ranks); !placed)
        return placed.error();
    return plan;
  }

  tokenset::Expected<tokenset::Plan> makePlan() {
    if (!file.empty())
      return readFile();
    auto given = [](int64_t value) {
      return value ? std::optional<int64_t>(value) : std::nullopt;
    };
    tokenset::ClusterRule rule;
    rule.comp = given(comp);
    rule.cluster = given(cluster);
    rule.period = given(period);
    rule.group = given(group);
    rule.ranks = given(ranks);
    rule.clientFirst = clientFirst;
    rule.clientLast = clientLast;
    rule.activations = activations.getValue();
    rule.partials = partials.getValue();
    if (!attn.empty()) {
      auto shape = tokenset::parseGridShape(attn.getValue());
      if (!shape)
        return shape.error();
      rule.attn = *shape;
    }
    auto plan = tokenset::makePlan(rule);
    if (!plan)
      return tokenset::Error{"plan: " + plan.error().message};
    return plan;
  }
};
} // namespace
