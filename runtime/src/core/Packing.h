//===- Packing.h - Tensors in the layouts that kernels read
//-----------------===//
#ifndef RSHARD_RUNTIME_SRC_PACKING_H
#define RSHARD_RUNTIME_SRC_PACKING_H

#include "rshard/runtime/Manifest.h"
#include "rshard/runtime/SafeTensors.h"

#include <string_view>

namespace rshard::runtime {

/// The layout of a packed weight, from WeightSpec::pack.
struct PackLayout {
  enum class Kind : uint8_t { Panel, Vector, Rows } kind = Kind::Vector;
  int64_t panelWidth = 1; ///< NR
  bool bf16 = false;
};
Expected<PackLayout> parsePack(std::string_view pack);

/// A part of a stored tensor and how it is to be laid out.
struct PackJob {
  const Tensor *tensor = nullptr;
  PackLayout layout;
  bool transposed = false;
  int64_t rowBegin = 0, rows = 1;       ///< of the stored tensor, after slicing
  int64_t columnBegin = 0, columns = 1; ///< 1 column for a vector
  int64_t stride = 1;                   ///< elements between stored rows

  int64_t outputs() const { return transposed ? columns : rows; }
  int64_t inputs() const { return transposed ? rows : columns; }
  /// Bytes of the packed form.
  uint64_t bytes() const;
  /// The place in the file if it can be used as it is, else nullptr.
  const void *inPlace() const;
  /// Independent parts, for threads.
  int64_t parts() const;
  /// Fills the parts [begin, end) of `out`.
  void pack(void *out, int64_t begin, int64_t end) const;
};

/// Errors: a tensor of another shape than the code was generated for, a type
/// that is not f32, f16 or bf16.
Expected<PackJob> makePackJob(const WeightSpec &spec, const Tensor &tensor);

} // namespace rshard::runtime

#endif
