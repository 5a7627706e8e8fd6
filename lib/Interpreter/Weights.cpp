//===- Weights.cpp - where the interpreter finds weights ------------------===//

#include "rshard/Interpreter/Weights.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/xxhash.h"
#include <cmath>
#include <cstring>
#include <optional>
#include <random>

using namespace mlir;
using namespace rshard;
using namespace rshard::interpreter;

WeightProvider::~WeightProvider() = default;

std::string WeightProvider::getTensorName(WeightOp op, int64_t layer) {
  std::string name = op.getTensor().str();
  if (size_t at = name.find("{}"); op.getLayers() && at != std::string::npos)
    name.replace(at, 2, std::to_string(layer));
  return name;
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

template <typename Bits> static Bits load(const std::byte *data) {
  Bits bits;
  std::memcpy(&bits, data, sizeof(bits));
  return bits;
}

/// Element `index` of a stored tensor; nothing for types that are no weights.
static std::optional<double> getElement(const runtime::Tensor &tensor,
                                        int64_t index) {
  const std::byte *data = tensor.data + index * runtime::dtypeSize(tensor.type);
  auto widen = [&](const llvm::fltSemantics &semantics) {
    return llvm::APFloat(semantics, llvm::APInt(16, load<uint16_t>(data)))
        .convertToDouble();
  };
  switch (tensor.type) {
  case runtime::DType::F64:
    return load<double>(data);
  case runtime::DType::F32:
    return load<float>(data);
  case runtime::DType::F16:
    return widen(llvm::APFloat::IEEEhalf());
  case runtime::DType::BF16:
    return widen(llvm::APFloat::BFloat());
  default:
    return std::nullopt;
  }
}

FailureOr<std::vector<double>> SafeTensorsWeights::read(WeightOp op,
                                                        int64_t layer) {
  std::string name = getTensorName(op, layer);
  auto found = files.get(name);
  if (!found)
    return op.emitOpError() << found.error().message;
  const runtime::Tensor &tensor = **found;

  // The tensor as a matrix [rows, columns] whose element (r, c) is stored at
  // r * rowStride + c * columnStride.
  size_t rank = tensor.shape.size();
  if (rank < 1 || rank > 2)
    return op.emitOpError("tensor '")
           << name << "' has " << rank << " dimensions vs one or two";
  int64_t rows = rank == 2 ? tensor.shape[0] : 1;
  int64_t columns = tensor.shape.back();
  int64_t rowStride = columns, columnStride = 1;
  if (op.getTransposed()) {
    std::swap(rows, columns);
    std::swap(rowStride, columnStride);
  }
  // A slice of a vector takes elements, a slice of a matrix rows.
  auto type = cast<RankedTensorType>(op.getType());
  int64_t begin = 0;
  if (auto slice = op.getRows()) {
    begin = (*slice)[0];
    int64_t &sliced = rank == 1 ? columns : rows;
    if (*op.getTotal() != static_cast<uint64_t>(sliced))
      return op.emitOpError("rows of tensor '")
             << name << "': " << sliced << " vs " << *op.getTotal();
    sliced = (*slice)[1] - begin;
    begin *= rank == 1 ? columnStride : rowStride;
  }
  bool fits = type.getRank() == 2
                  ? type.getDimSize(0) == rows && type.getDimSize(1) == columns
                  : rows == 1 && type.getDimSize(0) == columns;
  if (!fits)
    return op.emitOpError("type ") << type << " vs " << rows << " x " << columns
                                   << " elements of tensor '" << name << "'";

  std::vector<double> values;
  values.reserve(rows * columns);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      auto value = getElement(tensor, begin + r * rowStride + c * columnStride);
      if (!value)
        return op.emitOpError("tensor '")
               << name << "' has elements of type "
               << llvm::StringRef(runtime::dtypeName(tensor.type))
               << " vs F64, F32, F16 or BF16";
      values.push_back(*value);
    }
  return values;
}

//===----------------------------------------------------------------------===//
// Random numbers
//===----------------------------------------------------------------------===//

FailureOr<std::vector<double>> RandomWeights::read(WeightOp op, int64_t layer) {
  auto type = cast<RankedTensorType>(op.getType());
  std::string name = getTensorName(op, layer);
  if (op.getRows())
    name += '[' + std::to_string((*op.getRows())[0]);
  // Not std::hash, whose values may differ between libraries (C9).
  uint64_t state = seed ^ llvm::xxh3_64bits(name);
  std::mt19937_64 engine(state);
  // mt19937_64 is specified to the bit; the library's distributions are not.
  auto uniform = [&] { // in (-1, 1), variance 1/3
    return static_cast<double>(engine() >> 11) * 0x1p-52 - 1.0;
  };
  std::vector<double> values(type.getNumElements());
  bool isVector = type.getRank() == 1;
  double spread =
      isVector ? 0.3 : gain * std::sqrt(3.0 / type.getShape().back());
  for (double &value : values)
    value = (isVector ? center : 0.0) + spread * uniform();
  return values;
}
