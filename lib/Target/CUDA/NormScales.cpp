//===- NormScales.cpp - norm scales that weights can hold -----------------===//

#include "NormScales.h"
#include "rshard/Target/Segment/SegmentPlan.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace rshard::cuda {

static ParameterOp parameterOf(Value value) {
  return value ? value.getDefiningOp<ParameterOp>() : ParameterOp();
}

static StringAttr symbolOf(ParameterOp parameter) {
  return parameter.getWeightAttr().getAttr();
}

/// The scale of what `use` of a weight multiplies it with, if that is a norm
/// that is left to products.
static ParameterOp scaleOfUse(OpOperand &use,
                              function_ref<bool(NormOp)> canNormalise) {
  auto linear = dyn_cast<LinearOp>(use.getOwner());
  if (!linear || use.get() != linear.getWeight())
    return {};
  auto norm = linear.getInput().getDefiningOp<NormOp>();
  return norm && onlyLinearsRead(norm) && canNormalise(norm)
             ? parameterOf(norm.getScale())
             : ParameterOp();
}

NormScales::NormScales(ModuleOp module,
                       function_ref<bool(NormOp)> canNormalise) {
  module.walk([&](ParameterOp weight) {
    for (OpOperand &use : weight->getUses()) {
      ParameterOp scale = scaleOfUse(use, canNormalise);
      bool holds = scale && areOfSameLayers(weight, scale);
      StringAttr symbol = holds ? symbolOf(scale) : StringAttr();
      auto [known, added] = scaleOf.try_emplace(symbolOf(weight), symbol);
      if (!added && known->second != symbol)
        known->second = {};
    }
  });
}

bool NormScales::canFold(NormOp norm) const {
  ParameterOp scale = parameterOf(norm.getScale());
  return scale && llvm::all_of(norm->getUsers(), [&](Operation *user) {
           auto linear = dyn_cast<LinearOp>(user);
           ParameterOp weight =
               linear ? parameterOf(linear.getWeight()) : ParameterOp();
           return weight && scaleOf.lookup(symbolOf(weight)) == symbolOf(scale);
         });
}

} // namespace rshard::cuda
