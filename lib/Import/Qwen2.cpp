//===- Qwen2.cpp - Qwen2ForCausalLM ---------------------------------------===//

#include "Architecture.h"
#include "Decoder.h"

using namespace rshard;

static void build(ModelBuilder &model) {
  Decoder decoder = readDecoder(model);
  decoder.queryKeyValueBias = true;
  readLayerTypes(model, decoder);
  buildDecoder(model, decoder);
}

const Architecture rshard::qwen2ForCausalLM = {
    "Qwen2ForCausalLM", "max_position_embeddings", build};
