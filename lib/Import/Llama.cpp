//===- Llama.cpp - LlamaForCausalLM ---------------------------------------===//

#include "Architecture.h"
#include "Decoder.h"

using namespace rshard;

static void build(ModelBuilder &model) {
  Config &config = model.getConfig();
  Decoder decoder = readDecoder(model);
  decoder.queryKeyValueBias = decoder.outputBias =
      config.getFlag("attention_bias", false);
  decoder.mlpBias = config.getFlag("mlp_bias", false);
  config.know({"rope_interleaved", "is_llama_config"});
  buildDecoder(model, decoder);
}

const Architecture rshard::llamaForCausalLM = {
    "LlamaForCausalLM", "max_position_embeddings", build};
