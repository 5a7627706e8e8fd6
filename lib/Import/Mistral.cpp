//===- Mistral.cpp - MistralForCausalLM -----------------------------------===//

#include "Architecture.h"
#include "Decoder.h"

using namespace rshard;

static void build(ModelBuilder &model) {
  Config &config = model.getConfig();
  Decoder decoder = readDecoder(model);
  config.know({"sliding_window"});
  // null means no window, no key means the architecture's default.
  if (!config.isNull("sliding_window")) {
    int64_t window =
        config.getInteger("sliding_window", 4096, "the architecture's default");
    decoder.masks.assign(decoder.layers,
                         model.getMask(MaskKind::Window, window));
  }
  buildDecoder(model, decoder);
}

const Architecture rshard::mistralForCausalLM = {
    "MistralForCausalLM", "max_position_embeddings", build};
