//===- ModelFacts.cpp - what plans need to know of a model ----------------===//

#include "rshard/Driver/ModelFacts.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "rshard/Plan/PlanSymbols.h"

using namespace mlir;
using namespace rshard;

/// Everything that moves is f32.
static int64_t getRowBytes(Value value) {
  return getRowWidth(cast<ShapedType>(value.getType())) * 4;
}

FailureOr<ModelFacts> rshard::readModelFacts(ModuleOp module) {
  FailureOr<LayersOp> found = findLayers(module);
  if (failed(found))
    return failure();
  LayersOp layers = *found;
  ModelFacts facts;
  if (auto model = module->getAttrOfType<ModelAttr>(modelAttrName))
    facts.positions = model.getPositions();
  facts.bytes.hidden = getRowBytes(layers.getInput());

  std::vector<tokenset::Mask> masks;
  for (auto kind : layers.getKinds().getAsRange<FlatSymbolRefAttr>()) {
    auto layer = module.lookupSymbol<func::FuncOp>(kind.getAttr());
    if (!layer)
      return layers.emitOpError("refers to ") << kind << ": no such function";
    layer.walk([&](AttentionOp op) {
      masks.push_back(getMask(op.getMask()));
      facts.bytes.query = facts.bytes.partial = getRowBytes(op.getQuery());
      facts.bytes.key = facts.bytes.value = getRowBytes(op.getKey());
      facts.bytes.lse =
          cast<ShapedType>(op.getQuery().getType()).getDimSize(1) * 4;
    });
  }
  if (masks.size() != layers.getKinds().size())
    return layers.emitOpError("layer functions: ")
           << layers.getKinds().size() << " vs " << masks.size()
           << " rshard.attention ops";
  for (int32_t kind : layers.getOrder())
    facts.layerMasks.push_back(masks[kind]);
  return facts;
}
