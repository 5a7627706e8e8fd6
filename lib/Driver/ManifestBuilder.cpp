//===- ManifestBuilder.cpp - what an artifact says about itself -----------===//

#include "ManifestBuilder.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/runtime/ABI.h"
#include "rshard/runtime/Hash.h"

using namespace mlir;
using namespace rshard;

static RankedTensorType getTensor(RouteOp route, unsigned index) {
  return cast<RankedTensorType>(
      cast<TypeAttr>(route.getTypes()[index]).getValue());
}

/// The model as its routes and its two ends on the client show it.
static FailureOr<runtime::ModelInfo> describeModel(ModuleOp module) {
  runtime::ModelInfo info;
  auto model = module->getAttrOfType<ModelAttr>(modelAttrName);
  auto classes = module->getAttrOfType<DenseI32ArrayAttr>(layerClassesAttrName);
  if (!model || !classes)
    return module.emitError("has no attribute '")
           << (model ? layerClassesAttrName : modelAttrName) << "'";
  info.architecture = model.getArchitecture().str();
  info.maxPositions = model.getPositions();
  for (int64_t token : model.getEnd())
    info.endTokens.push_back(static_cast<int32_t>(token));
  info.layers = classes.size();
  info.layerMask.assign(classes.asArrayRef().begin(),
                        classes.asArrayRef().end());
  for (RouteOp route : module.getOps<RouteOp>()) {
    if (route.getKind() == RouteKind::Enter)
      info.hidden = getRowWidth(getTensor(route, 0));
    if (route.getKind() == RouteKind::Query) {
      info.heads = getTensor(route, 0).getDimSize(1);
      info.headSize = getTensor(route, 0).getDimSize(2);
      info.masks.push_back(getMask(*route.getMask()));
      info.bidirectional |= route.getMask()->getKind() == MaskKind::Full;
    }
    if (route.getKind() == RouteKind::Key)
      info.kvHeads = getTensor(route, 0).getDimSize(1);
  }
  // The vocabulary is the table that token ids index; ids are the first
  // argument behind the layer.
  auto embed = module.lookupSymbol<func::FuncOp>("client.embed");
  if (!embed)
    return module.emitError(
        "holds no segment @client.embed vs a module of the scheduled phase");
  embed.walk([&](EmbeddingOp op) {
    if (op.getIds() == embed.getArgument(1))
      info.vocabulary = cast<ShapedType>(op.getTable().getType()).getDimSize(0);
  });
  if (!info.vocabulary)
    return embed.emitOpError("looks no token id up in a table");
  info.hasHead = module.lookupSymbol("client.head") != nullptr;
  return info;
}

static FailureOr<runtime::WeightSpec>
describeWeight(ModuleOp module, const cpu::WeightSlots &slots) {
  auto weight = module.lookupSymbol<WeightOp>(slots.weight);
  if (!weight)
    return module.emitError("holds no rshard.weight @") << slots.weight;
  auto range = [](std::optional<ArrayRef<int64_t>> bounds)
      -> std::optional<std::pair<int64_t, int64_t>> {
    if (!bounds)
      return std::nullopt;
    return std::pair((*bounds)[0], (*bounds)[1]);
  };
  runtime::WeightSpec spec;
  spec.symbol = slots.weight;
  spec.tensor = weight.getTensor().str();
  spec.layers = range(weight.getLayers());
  spec.slot = slots.first;
  spec.transposed = weight.getTransposed();
  spec.pack = slots.pack;
  // The stored shape: the whole tensor, as the file has it.
  ArrayRef<int64_t> type = cast<ShapedType>(weight.getType()).getShape();
  spec.shape.assign(type.begin(), type.end());
  std::optional<std::pair<int64_t, int64_t>> rows = range(weight.getRows());
  if (rows) {
    if (type.size() == 1 && rows->second - rows->first == 1 && type[0] != 1)
      spec.shape.insert(spec.shape.begin(), 1); // one row of a matrix
    spec.shape[0] = *weight.getTotal();
  }
  if (spec.transposed) {
    std::swap(spec.shape[0], spec.shape[1]);
    spec.sliceColumns = rows;
  } else {
    spec.sliceRows = rows;
  }
  return spec;
}

FailureOr<runtime::Manifest> rshard::buildManifest(ModuleOp scheduled,
                                                   const cpu::HostObject &host,
                                                   StringRef partitioned) {
  runtime::Manifest manifest;
  manifest.abi = RSHARD_ABI_VERSION;
  FailureOr<runtime::ModelInfo> model = describeModel(scheduled);
  FailureOr<tokenset::Plan> plan = readPlan(scheduled);
  if (failed(model) || failed(plan))
    return failure();
  manifest.model = std::move(*model);
  manifest.plan = tokenset::printPlan(*plan);
  manifest.target = {"cpu", host.cpu, host.features};
  manifest.hashes.model =
      scheduled->getAttrOfType<ModelAttr>(modelAttrName).getHash().str();
  manifest.hashes.ir =
      runtime::sha256(std::string_view(partitioned.data(), partitioned.size()));

  for (const cpu::BufferSlot &slot : host.buffers) {
    std::optional<runtime::RowClass> rows =
        runtime::rowClassFromName(slot.rows);
    if (!rows || (slot.type != "f32" && slot.type != "i32"))
      return scheduled.emitError("buffer @")
             << slot.name << " holds " << slot.type << " rows of class '"
             << slot.rows
             << "' vs f32 or i32 and a capacity class of the runtime";
    manifest.buffers.push_back({slot.name,
                                slot.type == "i32" ? runtime::ElementType::I32
                                                   : runtime::ElementType::F32,
                                slot.width, *rows});
  }
  manifest.tables = host.tables;
  for (const cpu::WeightSlots &slots : host.weights) {
    FailureOr<runtime::WeightSpec> spec = describeWeight(scheduled, slots);
    if (failed(spec))
      return failure();
    manifest.weights.push_back(std::move(*spec));
  }
  for (RotaryOp rotary : scheduled.getOps<RotaryOp>())
    manifest.rope.push_back(
        {("rotary." + rotary.getSymName()).str(),
         std::vector<double>(rotary.getFrequencies().begin(),
                             rotary.getFrequencies().end()),
         rotary.getScale().convertToDouble()});
  manifest.exchanges = runtime::standardExchanges(manifest.model);
  return manifest;
}
