//===- ModelFacts.cpp - what plans need to know of a model ----------------===//

#include "rshard/Driver/ModelFacts.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "rshard/Plan/ModelInput.h"
#include "rshard/Plan/PlanSymbols.h"

using namespace mlir;
using namespace rshard;

static int64_t getWidth(Value value) {
  return getRowWidth(cast<ShapedType>(value.getType()));
}

FailureOr<ModelFacts> rshard::readModelFacts(ModuleOp module) {
  FailureOr<LayersOp> found = findLayers(module);
  if (failed(found))
    return failure();
  LayersOp layers = *found;
  ModelFacts facts;
  if (auto model = module->getAttrOfType<ModelAttr>(modelAttrName))
    facts.positions = model.getPositions();
  facts.widths.enter = getWidth(layers.getInput());
  facts.widths.leave = getWidth(layers.getResult());

  std::vector<tokenset::Mask> masks;
  for (auto kind : layers.getKinds().getAsRange<FlatSymbolRefAttr>()) {
    auto layer = module.lookupSymbol<func::FuncOp>(kind.getAttr());
    if (!layer)
      return layers.emitOpError("refers to ") << kind << ": no such function";
    layer.walk([&](AttentionOp op) {
      masks.push_back(getMask(op.getMask()));
      facts.widths.query = getWidth(op.getQuery());
      facts.widths.key = getWidth(op.getKey());
      facts.widths.heads =
          cast<ShapedType>(op.getQuery().getType()).getDimSize(1);
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

FailureOr<bool> rshard::hasHead(ModuleOp module) {
  FailureOr<LayersOp> layers = findLayers(module);
  if (failed(layers))
    return failure();
  ValueRange results = (*layers)->getBlock()->getTerminator()->getOperands();
  return llvm::any_of(results, [&](Value rows) {
    while (auto convert = rows.getDefiningOp<ConvertOp>())
      rows = convert.getInput();
    return rows != layers->getResult();
  });
}

FailureOr<bool> rshard::isAttentionOnly(ModuleOp module) {
  FailureOr<LayersOp> layers = findLayers(module);
  if (failed(layers))
    return failure();
  return isAttentionOnly(*layers);
}
