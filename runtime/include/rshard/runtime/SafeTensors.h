//===- SafeTensors.h - Reading a model's weights
//----------------------------===//
//
// The safetensors format, read in place and checked completely before a byte of
// it is used. Shared by the importer (names, types, shapes) and the weight
// store (data).
//
//===----------------------------------------------------------------------===//
#ifndef RSHARD_RUNTIME_SAFETENSORS_H
#define RSHARD_RUNTIME_SAFETENSORS_H

#include "rshard/runtime/MappedFile.h"
#include "rshard/tokenset/Expected.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace rshard::runtime {
using tokenset::Error;
using tokenset::Expected;

/// Element types of the format. Whoever asks for a tensor's values says which
/// of them it can use.
enum class DType : uint8_t {
  Bool,
  U8,
  I8,
  F8E4M3,
  F8E5M2,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  I64,
  U64,
  F64
};

/// The format's own spelling: "F32", "BF16", "F8_E4M3", ...
std::string_view dtypeName(DType type);
/// Bytes of one element.
uint32_t dtypeSize(DType type);

struct Tensor {
  std::string name;
  DType type = DType::F32;
  std::vector<int64_t> shape;      ///< row-major; empty for a scalar
  const std::byte *data = nullptr; ///< inside the mapped file; aligned only as
                                   ///< the file happens to be
  uint64_t bytes = 0;
  uint32_t file = 0; ///< index into SafeTensors::files()

  int64_t elements() const;
  /// "[576, 1536]"
  std::string shapeText() const;
};

/// The tensors of one file, or of all shards that an index names. Read-only and
/// mapped; the mappings live as long as this object.
class SafeTensors {
public:
  /// `path`: a .safetensors file, a model.safetensors.index.json, or a model
  /// directory that holds model.safetensors, an index, or exactly one
  /// .safetensors file. Enforces the format: header length, UTF-8 JSON object
  /// without duplicate keys, known types, sizes that match the shapes, offsets
  /// in range without overlaps or holes; and for an index: every named shard
  /// and tensor exists, in the shard that is named, and no shard holds a tensor
  /// that the index lacks. Errors name the file, the tensor, and both values.
  static Expected<SafeTensors> open(const std::filesystem::path &path);

  /// A table of tensors that are in no file: they have no data.
  static SafeTensors describe(std::vector<Tensor> tensors);

  /// Sorted by name.
  const std::vector<Tensor> &tensors() const { return all; }
  /// nullptr if there is none of that name.
  const Tensor *find(std::string_view name) const;
  /// As find, with an error that names the model's files and, where there is
  /// one, the most similar name.
  Expected<const Tensor *> get(std::string_view name) const;
  const std::vector<std::filesystem::path> &files() const { return paths; }
  /// The directory of the first file.
  std::filesystem::path directory() const;

private:
  std::vector<Tensor> all;
  std::vector<std::filesystem::path> paths;
  std::vector<MappedFile> maps;
};

} // namespace rshard::runtime

#endif
