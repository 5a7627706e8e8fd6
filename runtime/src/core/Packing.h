//===- Packing.h - Tensors in the layouts that kernels read
//-----------------===//
#ifndef RSHARD_RUNTIME_SRC_PACKING_H
#define RSHARD_RUNTIME_SRC_PACKING_H

#include "rshard/runtime/Manifest.h"
#include "rshard/runtime/SafeTensors.h"

#include <optional>
#include <string_view>

namespace rshard::runtime {

/// The layout of a packed weight, from WeightSpec::pack.
struct PackLayout {
  enum class Kind : uint8_t { Panel, Vector, Rows, Join, Interleave };
  Kind kind = Kind::Vector;
  int64_t panelWidth = 1; ///< NR
  ElementType type = ElementType::F32;
};
Expected<PackLayout> parsePack(std::string_view pack);

/// Whether the parts of a weight go with its pack and their slices with their
/// shapes. The message begins with "is".
Expected<void> checkPack(const WeightSpec &spec);

/// Values that are made up: uniform around `centre`, by the place in the
/// tensor.
struct RandomValues {
  uint64_t seed = 0;
  float centre = 0, amplitude = 1;
};
/// Those of a tensor of this name and shape.
RandomValues randomValues(uint64_t seed, const Tensor &tensor, bool transposed);

/// A part of a stored tensor.
struct PackPart {
  const std::byte *data = nullptr; ///< of the whole tensor
  DType type = DType::F32;
  std::optional<RandomValues> random = {}; ///< instead of data
  bool transposed = false;
  int64_t rowBegin = 0, rows = 1;       ///< of the stored tensor, after slicing
  int64_t columnBegin = 0, columns = 1; ///< 1 column for a vector
  int64_t stride = 1;                   ///< elements between stored rows

  int64_t outputs() const { return transposed ? columns : rows; }
  int64_t inputs() const { return transposed ? rows : columns; }
};

/// A weight and how it is to be laid out: pieces of equal size, in order. A
/// piece is a panel or a row.
struct PackJob {
  PackLayout layout;
  std::vector<PackPart> parts;
  std::vector<float> scale; ///< of the columns of every part; empty: none

  int64_t outputs() const;
  int64_t inputs() const { return parts.front().inputs(); }
  int64_t pieces() const;
  uint64_t pieceBytes() const;
  uint64_t bytes() const {
    return static_cast<uint64_t>(pieces()) * pieceBytes();
  }
  /// The place in the file if it can be used as it is, else nullptr.
  const void *inPlace() const;
  /// Writes the pieces [begin, end), the first of them to `out`.
  void pack(std::byte *out, int64_t begin, int64_t end) const;
};

/// The elements of a vector.
std::vector<float> vectorOf(const PackPart &part);

/// The part of that tensor. Errors: another shape than the code was generated
/// for; a type that is not f32, f16 or bf16.
Expected<PackPart> storedPart(const WeightPart &spec, const Tensor &tensor);

} // namespace rshard::runtime

#endif
