//===- Weights.h - A model's weights, as files and as kernels want them
//-----===//
#ifndef RSHARD_RUNTIME_WEIGHTS_H
#define RSHARD_RUNTIME_WEIGHTS_H

#include "rshard/runtime/Hash.h"
#include "rshard/runtime/Manifest.h"
#include "rshard/runtime/SafeTensors.h"

#include <memory>
#include <string>

namespace rshard::runtime {

class PackTarget;

/// What rshard_frame::weights points to. Keeps the mapped files alive.
class PackedWeights {
public:
  ~PackedWeights();
  /// One pointer per slot, 64-byte aligned where the data was packed; null for
  /// slots that the manifest does not use. Addresses of the device that they
  /// were packed for.
  const void *const *slots() const;
  /// Bytes that packing took, beside the mapped files.
  uint64_t packedBytes() const;

private:
  friend class Weights;
  struct State;
  explicit PackedWeights(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

/// A model directory's weights. Copies share everything, and so do the sessions
/// of a process.
class Weights {
public:
  /// `model`: a model directory with config.json, or anything that
  /// SafeTensors::open takes; without a config.json beside the weights the
  /// configuration counts as "{}".
  static Expected<Weights> open(const std::filesystem::path &model);

  /// Random values for all that the manifest lists, the same for the same seed
  /// and tensor: for benchmarks, where no file is needed. Matrices keep the
  /// size of rows that pass through, scales are near 1, biases near 0.
  static Weights random(const Manifest &manifest, uint64_t seed);
  /// For a program that lists none.
  static Weights none();
  /// They were opened: random ones and none are no model's, and go with any.
  bool areOfModel() const;

  const SafeTensors &tensors() const;
  /// C10: hash of configuration and tensor table.
  const std::string &identity() const;
  /// Hash of the files' bytes; computed on the first call, kept in the user's
  /// cache.
  Expected<std::string> content(const Progress &progress = {}) const;

  /// Packs every tensor that the manifest lists, on all threads; the same list
  /// is packed once. Errors name the tensor, and the shape or type that the
  /// code was generated for beside the stored one.
  Expected<std::shared_ptr<const PackedWeights>>
  pack(const Manifest &manifest, const Progress &progress = {}) const;
  /// The same for the memory of a device.
  Expected<std::shared_ptr<const PackedWeights>>
  packInto(PackTarget &target, const Manifest &manifest,
           const Progress &progress = {}) const;
  /// Bytes that packInto would take now: 0 if somebody holds the result.
  Expected<uint64_t> bytesToPack(const PackTarget &target,
                                 const Manifest &manifest) const;
  /// The same of pack().
  Expected<uint64_t> bytesToPack(const Manifest &manifest) const;

  struct State;

private:
  std::shared_ptr<State> state;
};

} // namespace rshard::runtime

#endif
