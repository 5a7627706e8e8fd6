//===- Qwen3.cpp - Qwen3ForCausalLM ---------------------------------------===//

#include "Architecture.h"
#include "Decoder.h"

using namespace rshard;

static void build(ModelBuilder &model) {
  Decoder decoder = readDecoder(model, /*headSize=*/128);
  decoder.queryKeyValueBias = decoder.outputBias =
      model.getConfig().getFlag("attention_bias", false);
  decoder.headNorms = true;
  readLayerTypes(model, decoder);
  buildDecoder(model, decoder);
}

const Architecture rshard::qwen3ForCausalLM = {
    "Qwen3ForCausalLM", "max_position_embeddings", build};
