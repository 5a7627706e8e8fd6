//===- NormScales.cpp - norm scales that weights can hold -----------------===//

#include "NormScales.h"
#include "rshard/Target/Segment/SegmentPlan.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

using namespace mlir;

namespace rshard::cuda {

static ParameterOp parameterOf(Value value) {
  return value ? value.getDefiningOp<ParameterOp>() : ParameterOp();
}

/// The norm whose result `use` of a weight multiplies it with, if there is one.
static NormOp normOf(OpOperand &use) {
  auto linear = dyn_cast<LinearOp>(use.getOwner());
  return linear && use.get() == linear.getWeight()
             ? linear.getInput().getDefiningOp<NormOp>()
             : NormOp();
}

NormScales::NormScales(ModuleOp module, function_ref<bool(NormOp)> canNormalise)
    : module(module) {
  module.walk([&](NormOp norm) {
    auto rows = cast<ShapedType>(norm.getInput().getType());
    most = std::max(most, rows.getShape().back());
  });
  module.walk([&](ParameterOp parameter) {
    StringAttr weight = parameter.getWeightAttr().getAttr();
    for (OpOperand &use : parameter->getUses()) {
      StringAttr scale;
      if (NormOp norm = normOf(use);
          norm && onlyLinearsRead(norm) && canNormalise(norm))
        if (ParameterOp vector = parameterOf(norm.getScale()))
          scale = vector.getWeightAttr().getAttr();
      auto [known, added] = scaleOf.try_emplace(weight, scale);
      if (!added && known->second != scale)
        known->second = {};
    }
  });
}

bool NormScales::canFold(NormOp norm) const {
  ParameterOp scale = parameterOf(norm.getScale());
  if (!scale)
    return false;
  auto layersOf = [&](ParameterOp parameter) {
    auto weight =
        ModuleOp(module).lookupSymbol<WeightOp>(parameter.getWeight());
    return weight ? weight.getLayers() : std::nullopt;
  };
  return llvm::all_of(norm->getUsers(), [&](Operation *user) {
    auto linear = dyn_cast<LinearOp>(user);
    ParameterOp weight =
        linear ? parameterOf(linear.getWeight()) : ParameterOp();
    return weight && weight.getLayer() == scale.getLayer() &&
           layersOf(weight) == layersOf(scale) &&
           scaleOf.lookup(weight.getWeightAttr().getAttr()) ==
               scale.getWeightAttr().getAttr();
  });
}

} // namespace rshard::cuda
