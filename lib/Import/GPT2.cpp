//===- GPT2.cpp - GPT2LMHeadModel -----------------------------------------===//

#include "Architecture.h"
#include "Decoder.h"
#include <cmath>

using namespace mlir;
using namespace rshard;

static std::vector<Attention> readAttention(ModelBuilder &model, int64_t layers,
                                            int64_t headSize) {
  Config &config = model.getConfig();
  bool scaled = config.getFlag("scale_attn_weights", true);
  bool byLayer = config.getFlag("scale_attn_by_inverse_layer_idx", false);
  std::vector<Attention> attention;
  for (int64_t layer = 0; layer < layers; ++layer) {
    double scale = scaled ? 1 / std::sqrt(double(headSize)) : 1.0;
    if (byLayer)
      scale /= double(layer + 1);
    attention.push_back({model.getMask(MaskKind::Causal), scale});
  }
  return attention;
}

static void build(ModelBuilder &model) {
  Config &config = model.getConfig();
  if (model.hasTensor("transformer.wte.weight"))
    model.setPrefix("transformer.");
  int64_t vocabulary = config.getInteger("vocab_size");
  int64_t hidden = config.getInteger("n_embd");
  int64_t layers = model.readLayers("n_layer");
  int64_t heads = config.getInteger("n_head");
  int64_t positions = config.getInteger("n_positions");
  int64_t inner = config.findInteger("n_inner").value_or(4 * hidden);
  double eps = readEps(config, "layer_norm_epsilon", 1e-5);
  Activation kind = readActivation(config, "activation_function", "gelu_new");
  config.require({{"add_cross_attention", "false"}});
  // The same mathematics in another precision.
  config.know({"reorder_and_upcast_attn", "n_ctx", "embd_pdrop", "attn_pdrop",
               "resid_pdrop", "summary_activation", "summary_first_dropout",
               "summary_proj_to_labels", "summary_type", "summary_use_proj"});
  if (hidden % heads) {
    config.refuse("n_embd", "a multiple of n_head, " + Twine(heads));
    heads = 1;
  }
  int64_t headSize = hidden / heads;
  bool tied = config.getFlag("tie_word_embeddings", true);

  const Module embedding = {"embedding", "wte"};
  // Conv1D keeps its matrices as [inputs, outputs].
  const WeightStorage conv = {.transposed = true, .rows = std::nullopt};
  auto norm = [&](Value x, StringRef symbol, StringRef tensor) {
    return model.norm(NormKind::Layer, x, {symbol, tensor, true}, eps);
  };
  auto linear = [&](Value x, StringRef symbol, StringRef tensor,
                    int64_t width) {
    return model.linear(x, {symbol, tensor, true, conv}, {width});
  };
  auto head = [&](Value tokens) {
    Value x = model.embedTokens(tokens, embedding, vocabulary, hidden);
    return model.add(
        x, model.embedPositions({"positions", "wpe"}, positions, hidden));
  };
  auto layer = [&](Value x, const Attention &attention) {
    Value h = norm(x, "attention_norm", "h.{}.ln_1");
    // One tensor holds queries, keys and values.
    auto project = [&](StringRef symbol, int64_t part) {
      WeightStorage rows = conv;
      rows.rows = {part * hidden, (part + 1) * hidden, 3 * hidden};
      return model.linear(h, {symbol, "h.{}.attn.c_attn", true, rows},
                          {heads, headSize});
    };
    Value q = project("query", 0), k = project("key", 1),
          v = project("value", 2);
    Value o = model.attention(q, k, v, attention);
    x = model.add(x, linear(o, "output", "h.{}.attn.c_proj", hidden));
    h = norm(x, "mlp_norm", "h.{}.ln_2");
    h = model.activation(kind, linear(h, "up", "h.{}.mlp.c_fc", inner));
    return model.add(x, linear(h, "down", "h.{}.mlp.c_proj", hidden));
  };
  auto tail = [&](Value x) {
    x = norm(x, "head_norm", "ln_f");
    if (tied)
      return model.linear(x, embedding, {vocabulary});
    model.setPrefix("");
    return model.linear(x, {"head", "lm_head"}, {vocabulary});
  };
  // Buffers that hold the mask, and a copy of the embedding.
  model.ignoreTensors({"*.attn.bias", "*.attn.masked_bias"});
  if (tied)
    model.ignoreTensors({"lm_head.weight"});
  model.build(hidden, readAttention(model, layers, headSize), head, layer,
              tail);
}

const Architecture rshard::gpt2LMHeadModel = {"GPT2LMHeadModel", "n_positions",
                                              build};
