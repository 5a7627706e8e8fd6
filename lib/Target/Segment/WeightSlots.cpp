//===- WeightSlots.cpp - numbers the weights of a program -----------------===//

#include "rshard/Target/Segment/WeightSlots.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/Twine.h"

using namespace mlir;

namespace rshard {

WeightOp WeightSlots::weightOf(ParameterOp parameter) const {
  return ModuleOp(module).lookupSymbol<WeightOp>(parameter.getWeight());
}

Value WeightSlots::get(OpBuilder &ops, ArrayRef<ParameterOp> parameters,
                       ParameterOp scale, Value frame, Value layer,
                       StringRef pack, MemRefType type) {
  ParameterOp parameter = parameters.front();
  std::optional<ArrayRef<int64_t>> layers = weightOf(parameter).getLayers();
  std::string key;
  SmallVector<Attribute> names;
  for (ParameterOp part : parameters) {
    key += (part.getWeight() + " ").str();
    names.push_back(part.getWeightAttr());
  }
  key += pack;
  if (scale)
    key += (" " + scale.getWeight()).str();
  auto [range, added] = first.try_emplace(key, next);
  if (added) {
    int64_t count = layers ? (*layers)[1] - (*layers)[0] : 1;
    SmallVector<NamedAttribute> fields{
        ops.getNamedAttr("weights", ops.getArrayAttr(names)),
        ops.getNamedAttr("pack", ops.getStringAttr(pack)),
        ops.getNamedAttr("first", ops.getI64IntegerAttr(next)),
        ops.getNamedAttr("count", ops.getI64IntegerAttr(count))};
    if (scale)
      fields.push_back(ops.getNamedAttr("scale", scale.getWeightAttr()));
    ranges.push_back(ops.getDictionaryAttr(fields));
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
