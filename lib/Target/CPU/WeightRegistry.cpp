//===- WeightRegistry.cpp - numbers the weights of a program --------------===//

#include "WeightRegistry.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace rshard::cpu {

static RankedTensorType typeOf(WeightOp weight) {
  return cast<RankedTensorType>(weight.getType());
}

ElementKind WeightRegistry::elementOf(WeightOp weight) {
  return typeOf(weight).getElementType().isBF16() ? ElementKind::BF16
                                                  : ElementKind::F32;
}

Value WeightRegistry::get(OpBuilder &ops, ParameterOp parameter, Value frame,
                          Value layer, Packing packing) {
  auto weight = module.lookupSymbol<WeightOp>(parameter.getWeight());
  RankedTensorType type = typeOf(weight);
  bool narrow = elementOf(weight) == ElementKind::BF16;
  StringRef name = narrow ? "bf16" : "f32";
  Type element = narrow ? Type(ops.getBF16Type()) : Type(ops.getF32Type());
  SmallVector<int64_t> dims;
  std::string pack;
  switch (packing) {
  case Packing::Panels: {
    int64_t rows = type.getDimSize(0);
    int64_t panels = static_cast<int64_t>(llvm::divideCeil(rows, shape.panel));
    dims = {panels, type.getDimSize(1), shape.panel};
    pack = (Twine("panel:") + Twine(shape.panel) + ":" + name).str();
    break;
  }
  case Packing::Vector:
    dims = {type.getNumElements()};
    element = ops.getF32Type();
    pack = "vector";
    break;
  case Packing::Rows:
    dims = {type.getDimSize(0), type.getDimSize(1)};
    pack = (Twine("rows:") + name).str();
    break;
  }

  std::optional<ArrayRef<int64_t>> layers = weight.getLayers();
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
  return GetWeightOp::create(ops, loc, MemRefType::get(dims, element), frame,
                             range->second, layer);
}

void WeightRegistry::record() {
  module->setAttr(weightSlotsAttrName,
                  ArrayAttr::get(module.getContext(), ranges));
}

} // namespace rshard::cpu
