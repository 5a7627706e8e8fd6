//===- Decoder.h - the decoder that Llama's family shares -------*- C++ -*-===//

#ifndef RSHARD_LIB_IMPORT_DECODER_H
#define RSHARD_LIB_IMPORT_DECODER_H

#include "ModelBuilder.h"

namespace rshard {

/// A pre-norm decoder with RMS norms, rotary positions, grouped queries and a
/// gated MLP, under the tensor names of Llama. An architecture reads this from
/// the configuration, changes what differs and builds it.
struct Decoder {
  int64_t vocabulary = 1, hidden = 1, layers = 1, intermediate = 1;
  int64_t heads = 1, keyHeads = 1, headSize = 2;
  double eps = 1e-6;
  Activation activation = Activation::SiLU;
  bool queryKeyValueBias = false, outputBias = false, mlpBias = false;
  /// RMS norms of every query and key head, before the rotation.
  bool headNorms = false;
  /// The head's matrix is the embedding's.
  bool tied = false;
  Rotary rotary;
  /// One per layer.
  std::vector<MaskAttr> masks;
};

/// Reads the keys that the family shares. `headSize` is the architecture's own
/// default for `head_dim`, 0: hidden_size / num_attention_heads. Layers are
/// causal.
Decoder readDecoder(ModelBuilder &model, int64_t headSize = 0);

/// Gives layers a window: those of `layer_types` that say sliding_attention or,
/// without that list, all from `max_window_layers` on, if `use_sliding_window`
/// (Qwen).
void readLayerTypes(ModelBuilder &model, Decoder &decoder);

void buildDecoder(ModelBuilder &model, const Decoder &decoder);

/// hidden_act and its like, by the names that transformers uses.
Activation readActivation(Config &config, llvm::StringRef key,
                          llvm::StringRef fallback);

/// Whether the head's matrix is the embedding's: `tie_word_embeddings` or,
/// without that key, whether the files hold no `head`.
bool readTied(ModelBuilder &model, llvm::StringRef head);

/// A number that must be more than 0; the fallback is said as a note.
double readEps(Config &config, llvm::StringRef key, double fallback);

} // namespace rshard

#endif // RSHARD_LIB_IMPORT_DECODER_H
