//===- Weights.cpp - from tensors of files to rshard.weight ---------------===//

#include "ModelBuilder.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/GlobPattern.h"

using namespace mlir;
using namespace rshard;

/// The tensor's name in layer `index`.
static std::string getName(StringRef pattern, int64_t index) {
  auto [before, after] = pattern.split("{}");
  if (before.size() == pattern.size())
    return pattern.str();
  return (before + Twine(index) + after).str();
}

static std::string show(ArrayRef<int64_t> shape) {
  return "[" +
         llvm::join(
             llvm::map_range(shape,
                             [](int64_t size) { return std::to_string(size); }),
             ", ") +
         "]";
}

bool ModelBuilder::hasTensor(StringRef name) const {
  return tensors && tensors->find(prefix + getName(name, 0));
}

int64_t ModelBuilder::readLayers(StringRef key) {
  int64_t layers = config.getInteger(key);
  if (!tensors)
    return layers;
  int64_t most = tensors->tensors().size();
  if (layers <= most)
    return layers;
  config.refuse(key, "at most the " + Twine(most) + " tensors of the files");
  return 1;
}

std::optional<int64_t> ModelBuilder::getTensorSize(StringRef name,
                                                   unsigned dim) const {
  if (!tensors)
    return std::nullopt;
  const runtime::Tensor *tensor = tensors->find(prefix + getName(name, 0));
  if (!tensor || dim >= tensor->shape.size())
    return std::nullopt;
  return tensor->shape[dim];
}

/// Checks one tensor against the shape in its file; `expected` is the type that
/// the layers before have, null for the first. Returns its element type.
Type ModelBuilder::check(StringRef name, ArrayRef<int64_t> shape,
                         Type expected) {
  used.insert(name.str());
  Type fallback = expected ? expected : builder.getF32Type();
  if (getReport().hasFailed())
    return fallback;
  if (!tensors) {
    runtime::Tensor tensor;
    tensor.name = name.str();
    tensor.shape = shape.vec();
    declared.push_back(std::move(tensor));
    return fallback;
  }
  auto found = tensors->get(std::string_view(name));
  if (!found) {
    // The message says which file.
    getReport().fail(UnknownLoc::get(builder.getContext()),
                     found.error().message);
    return fallback;
  }
  const runtime::Tensor &tensor = **found;
  Location location =
      getReport().locate(tensors->files()[tensor.file].string());
  if (ArrayRef<int64_t>(tensor.shape) != shape) {
    getReport().fail(location, "shape of tensor '" + name + "': " +
                                   tensor.shapeText() + " vs " + show(shape));
    return fallback;
  }
  Type type;
  switch (tensor.type) {
  case runtime::DType::F32:
    type = builder.getF32Type();
    break;
  case runtime::DType::BF16:
    type = builder.getBF16Type();
    break;
  case runtime::DType::F16:
    type = builder.getF16Type();
    break;
  default:
    getReport().fail(location, "type of tensor '" + name +
                                   "': " + std::string(dtypeName(tensor.type)) +
                                   " vs F32, BF16 or F16");
    return fallback;
  }
  if (expected && type != expected) {
    getReport().fail(location, "type of tensor '" + name +
                                   "': " + std::string(dtypeName(tensor.type)) +
                                   " vs the type that layer 0 has");
    return fallback;
  }
  return type;
}

RankedTensorType ModelBuilder::declare(StringRef symbol, StringRef tensor,
                                       ArrayRef<int64_t> shape,
                                       const WeightStorage &storage) {
  if (auto found = weights.find(symbol); found != weights.end())
    return found->second;

  SmallVector<int64_t> stored(shape);
  if (storage.rows) {
    // A single row of a matrix is a vector.
    if (shape.size() == 1 && storage.rows->end - storage.rows->begin == 1)
      stored.insert(stored.begin(), 1);
    stored.front() = storage.rows->total;
  }
  if (storage.transposed)
    std::reverse(stored.begin(), stored.end());

  bool perLayer = tensor.contains("{}");
  std::string pattern = prefix + tensor.str();
  Type element;
  for (int64_t index = 0, end = perLayer ? layers : 1; index < end; ++index)
    element = check(getName(pattern, index), stored, element);
  auto type = RankedTensorType::get(shape, element);

  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(module->getBody());
  if (lastDeclaration)
    builder.setInsertionPointAfter(lastDeclaration);
  auto range = [&](bool present, int64_t begin, int64_t end) {
    return present ? builder.getDenseI64ArrayAttr({begin, end})
                   : DenseI64ArrayAttr();
  };
  RowRange rows = storage.rows.value_or(RowRange());
  auto op = WeightOp::create(
      builder, unknown, builder.getStringAttr(symbol),
      builder.getStringAttr(pattern), range(perLayer, 0, layers),
      range(storage.rows.has_value(), rows.begin, rows.end),
      storage.rows ? builder.getI64IntegerAttr(rows.total) : IntegerAttr(),
      storage.transposed ? builder.getUnitAttr() : UnitAttr(),
      TypeAttr::get(type));
  lastDeclaration = op;
  weights[op.getSymName()] = type;
  return type;
}

void ModelBuilder::ignoreTensors(ArrayRef<StringLiteral> patterns) {
  for (StringRef pattern : patterns)
    ignored.push_back(pattern.str());
}

void ModelBuilder::noteUnused() {
  if (!tensors)
    return;
  std::string first;
  int64_t count = 0;
  for (const runtime::Tensor &tensor : tensors->tensors()) {
    if (used.count(tensor.name))
      continue;
    bool known = llvm::any_of(ignored, [&](const std::string &text) {
      llvm::Expected<llvm::GlobPattern> pattern =
          llvm::GlobPattern::create(text);
      if (!pattern) {
        llvm::consumeError(pattern.takeError());
        return false;
      }
      return pattern->match(tensor.name);
    });
    if (!known && ++count == 1)
      first = tensor.name;
  }
  if (count == 1)
    getReport().note("tensor '" + first + "' is not used by the architecture");
  else if (count > 1)
    getReport().note("tensors that the architecture does not use: " +
                     Twine(count) + ", '" + first + "' the first");
}
