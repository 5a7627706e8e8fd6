//===- ManifestBuilder.cpp - what an artifact says about itself -----------===//

#include "ManifestBuilder.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "rshard/Plan/ModelInput.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Plan/RouteSet.h"
#include "rshard/Target/CUDA/Assemble.h"
#include "rshard/runtime/ABI.h"
#include "rshard/runtime/Hash.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace rshard;

/// What a step takes. Token ids go through a segment of the client: the
/// vocabulary is the table that they index, the first argument behind the
/// layer. Rows go to the CompNodes as they are.
static LogicalResult describeInput(ModuleOp module, RouteSet &routes,
                                   runtime::ModelInfo &info) {
  if (!takesTokens(module)) {
    info.attentionOnly = true;
    RouteOp enter = routes.getEnter();
    if (int64_t width = getRowWidth(enter.getTensor(0));
        width != info.enterWidth())
      return enter.emitOpError("moves rows of ")
             << width << " vs " << info.enterWidth()
             << ", the query, key and value heads of an attention-only "
                "program: there is no table @"
             << tokenTableName;
    return success();
  }
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
  return success();
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
  info.layers = classes.size();
  info.layerMask.assign(classes.asArrayRef().begin(),
                        classes.asArrayRef().end());
  FailureOr<RouteSet> routes = RouteSet::create(module);
  if (failed(routes))
    return failure();
  info.leaveWidth = getRowWidth(routes->getLeave().getTensor(0));
  for (int64_t number = 0; number < routes->getNumClasses(); ++number) {
    RouteOp query = routes->getQuery(number);
    info.heads = query.getTensor(0).getDimSize(1);
    info.headSize = query.getTensor(0).getDimSize(2);
    info.kvHeads = routes->getKey(number).getTensor(0).getDimSize(1);
    info.masks.push_back(getMask(*query.getMask()));
    info.bidirectional |= query.getMask()->getKind() == MaskKind::Full;
  }
  if (failed(describeInput(module, *routes, info)))
    return failure();
  for (int64_t token : model.getEnd()) {
    if (token >= info.vocabulary)
      return module.emitError("end token of the model: ")
             << token << " vs less than the vocabulary's " << info.vocabulary;
    info.endTokens.push_back(static_cast<int32_t>(token));
  }
  // A head makes more of the rows than the f32 that the caller reads.
  auto head = module.lookupSymbol<func::FuncOp>("client.head");
  info.hasHead =
      head && llvm::any_of(head.getBody().front().without_terminator(),
                           [](Operation &op) { return !isa<ConvertOp>(op); });
  return info;
}

static std::optional<std::pair<int64_t, int64_t>>
getRange(std::optional<ArrayRef<int64_t>> bounds) {
  if (!bounds)
    return std::nullopt;
  return std::pair((*bounds)[0], (*bounds)[1]);
}

static runtime::WeightPart describePart(WeightOp weight) {
  runtime::WeightPart part;
  part.tensor = weight.getTensor().str();
  part.transposed = weight.getTransposed();
  // The stored shape: the whole tensor, as the file has it.
  ArrayRef<int64_t> type = cast<ShapedType>(weight.getType()).getShape();
  part.shape.assign(type.begin(), type.end());
  std::optional<std::pair<int64_t, int64_t>> rows = getRange(weight.getRows());
  if (rows) {
    if (type.size() == 1 && rows->second - rows->first == 1 && type[0] != 1)
      part.shape.insert(part.shape.begin(), 1); // one row of a matrix
    part.shape[0] = *weight.getTotal();
  }
  if (part.transposed) {
    std::swap(part.shape[0], part.shape[1]);
    part.sliceColumns = rows;
  } else {
    part.sliceRows = rows;
  }
  return part;
}

/// A range of the frame's weight slots (weightSlotsAttrName), as the generator
/// of kernels has recorded it.
static runtime::WeightSpec describeWeight(ModuleOp module,
                                          DictionaryAttr slots) {
  runtime::WeightSpec spec;
  spec.slot = slots.getAs<IntegerAttr>("first").getInt();
  spec.pack = slots.getAs<StringAttr>("pack").str();
  for (auto symbol :
       slots.getAs<ArrayAttr>("weights").getAsRange<FlatSymbolRefAttr>()) {
    auto weight = module.lookupSymbol<WeightOp>(symbol);
    spec.symbol += (spec.symbol.empty() ? "" : "+") + symbol.getValue().str();
    spec.layers = getRange(weight.getLayers());
    spec.parts.push_back(describePart(weight));
  }
  if (auto scale = slots.getAs<FlatSymbolRefAttr>("scale"))
    spec.scale = describePart(module.lookupSymbol<WeightOp>(scale));
  return spec;
}

static std::optional<runtime::ElementType> getElementType(Type type) {
  std::string name;
  llvm::raw_string_ostream(name) << type;
  return tokenset::elementTypeFromName(name);
}

static runtime::KernelSize describeSize(SizeAttr size) {
  return {size.getFactor(), static_cast<int32_t>(size.getArgument())};
}

static runtime::KernelParameter describeParameter(Attribute parameter) {
  using runtime::ParameterKind;
  runtime::KernelParameter result;
  auto set = [&](ParameterKind kind, int64_t argument) {
    result.kind = kind;
    result.argument = static_cast<int32_t>(argument);
  };
  if (auto pointer = dyn_cast<PointerAttr>(parameter))
    set(ParameterKind::Pointer, pointer.getArgument());
  else if (auto rows = dyn_cast<RowsAttr>(parameter))
    set(ParameterKind::Rows, rows.getArgument());
  else if (auto scalar = dyn_cast<ScalarAttr>(parameter))
    set(ParameterKind::Scalar, scalar.getArgument());
  if (auto map = dyn_cast<MapAttr>(parameter)) {
    set(ParameterKind::Map, map.getArgument());
    result.type = *getElementType(map.getElement());
    for (SizeAttr size : map.getExtents())
      result.extents.push_back(describeSize(size));
    for (SizeAttr size : map.getStrides())
      result.strides.push_back(describeSize(size));
    result.box.assign(map.getBox().begin(), map.getBox().end());
    result.swizzle = map.getSwizzle();
  }
  return result;
}

/// Every kernel of the module's device, in index order.
static std::vector<runtime::KernelSpec> describeKernels(ModuleOp kernels) {
  std::vector<runtime::KernelSpec> specs;
  kernels.walk([&](Operation *op) {
    auto launch = op->getAttrOfType<KernelAttr>(kernelAttrName);
    if (!launch)
      return;
    runtime::KernelSpec &spec = specs.emplace_back();
    spec.name = SymbolTable::getSymbolName(op).str();
    spec.threads = launch.getThreads();
    spec.shared = launch.getShared();
    spec.blocks = launch.getBlocks();
    spec.resident = launch.getResident();
    for (BlocksAttr term : launch.getGrid())
      spec.grid.push_back(
          {static_cast<int32_t>(term.getArgument()), term.getPer()});
    for (Attribute parameter : launch.getParameters())
      spec.parameters.push_back(describeParameter(parameter));
  });
  return specs;
}

/// Whether host code loads an entry of the table or of a part of it.
static bool isLoaded(Value table) {
  return llvm::any_of(table.getUsers(), [](Operation *user) {
    if (isa<memref::LoadOp>(user))
      return true;
    return isa<memref::SubViewOp, memref::CastOp>(user) &&
           isLoaded(user->getResult(0));
  });
}

/// The tables whose entries host code reads, in index order.
static std::vector<std::string> describeHostTables(ModuleOp kernels) {
  llvm::StringSet<> loaded;
  kernels.walk([&](GetTableOp get) {
    if (isLoaded(get.getResult()))
      loaded.insert(get.getTable());
  });
  std::vector<std::string> names;
  for (TableOp table : kernels.getOps<TableOp>())
    if (loaded.contains(table.getSymName()))
      names.push_back(table.getSymName().str());
  return names;
}

static FailureOr<runtime::BufferSpec> describeBuffer(BufferOp buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  runtime::BufferSpec spec;
  spec.name = buffer.getSymName().str();
  spec.width = type.getDimSize(1);
  std::optional<runtime::ElementType> element =
      getElementType(type.getElementType());
  if (!element)
    return buffer.emitOpError("holds rows of ")
           << type.getElementType() << " vs f32, bf16, f16 or i32";
  spec.type = *element;
  std::optional<runtime::RowClass> rows =
      runtime::rowClassFromName(std::string_view(buffer.getRows()));
  if (!rows)
    return buffer.emitOpError("rows: '")
           << buffer.getRows() << "' vs a capacity class of the runtime";
  spec.rows = *rows;
  return spec;
}

FailureOr<runtime::Manifest> rshard::buildManifest(ModuleOp scheduled,
                                                   ModuleOp kernels,
                                                   const HostCpu &cpu,
                                                   StringRef partitioned) {
  runtime::Manifest manifest;
  manifest.abi = RSHARD_ABI_VERSION;
  FailureOr<runtime::ModelInfo> model = describeModel(scheduled);
  FailureOr<tokenset::Plan> plan = readPlan(scheduled);
  if (failed(model) || failed(plan))
    return failure();
  manifest.model = std::move(*model);
  manifest.plan = tokenset::printPlan(*plan);
  manifest.kernels = describeKernels(kernels);
  bool onDevice = !manifest.kernels.empty();
  manifest.target = {.name = onDevice ? "cuda" : "cpu",
                     .cpu = cpu.name,
                     .features = cpu.features,
                     .chip = onDevice ? cuda::chip.str() : ""};
  if (onDevice)
    manifest.hostTables = describeHostTables(kernels);
  manifest.hashes.model =
      scheduled->getAttrOfType<ModelAttr>(modelAttrName).getHash().str();
  manifest.hashes.ir =
      runtime::sha256(std::string_view(partitioned.data(), partitioned.size()));

  for (BufferOp buffer : kernels.getOps<BufferOp>()) {
    FailureOr<runtime::BufferSpec> spec = describeBuffer(buffer);
    if (failed(spec))
      return failure();
    manifest.buffers.push_back(std::move(*spec));
  }
  for (TableOp table : kernels.getOps<TableOp>())
    manifest.tables.push_back(table.getSymName().str());
  auto slots = kernels->getAttrOfType<ArrayAttr>(weightSlotsAttrName);
  for (auto range : slots.getAsRange<DictionaryAttr>())
    manifest.weights.push_back(describeWeight(kernels, range));
  for (RotaryOp rotary : scheduled.getOps<RotaryOp>())
    manifest.rope.push_back(
        {("rotary." + rotary.getSymName()).str(),
         std::vector<double>(rotary.getFrequencies().begin(),
                             rotary.getFrequencies().end()),
         rotary.getScale().convertToDouble()});
  manifest.exchanges = runtime::standardExchanges(manifest.model, plan->types);
  return manifest;
}
