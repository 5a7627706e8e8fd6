//===- WeightSlots.cpp - numbers the weights of a program -----------------===//

#include "rshard/Target/Segment/WeightSlots.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/Twine.h"

using namespace mlir;

namespace rshard {

WeightOp WeightSlots::weightOf(ParameterOp parameter) const {
  return ModuleOp(module).lookupSymbol<WeightOp>(parameter.getWeight());
}

Value WeightSlots::get(OpBuilder &ops, ParameterOp parameter, Value frame,
                       Value layer, StringRef pack, MemRefType type) {
  std::optional<ArrayRef<int64_t>> layers = weightOf(parameter).getLayers();
  auto [range, added] = first.try_emplace(
      (Twine(parameter.getWeight()) + " " + pack).str(), next);
  if (added) {
    int64_t count = layers ? (*layers)[1] - (*layers)[0] : 1;
    ranges.push_back(ops.getDictionaryAttr(
        {ops.getNamedAttr("weight", parameter.getWeightAttr()),
         ops.getNamedAttr("pack", ops.getStringAttr(pack)),
         ops.getNamedAttr("first", ops.getI64IntegerAttr(next)),
         ops.getNamedAttr("count", ops.getI64IntegerAttr(count))}));
    next += count;
  }
  Location loc = parameter.getLoc();
  if (layers && (*layers)[0] != 0) {
    Value skipped = arith::ConstantIndexOp::create(ops, loc, (*layers)[0]);
    layer = arith::SubIOp::create(ops, loc, layer, skipped);
  }
  return GetWeightOp::create(ops, loc, type, frame, range->second, layer);
}

void WeightSlots::record() {
  module->setAttr(weightSlotsAttrName,
                  ArrayAttr::get(module.getContext(), ranges));
}

} // namespace rshard
