//===- Decoder.cpp - the decoder that Llama's family shares ---------------===//

#include "Decoder.h"
#include "RShard/FloatRange.h"
#include "Rope.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

using namespace mlir;
using namespace rshard;

//===----------------------------------------------------------------------===//
// Configuration
//===----------------------------------------------------------------------===//

Activation rshard::readActivation(Config &config, StringRef key,
                                  StringRef fallback) {
  std::string name =
      config.getString(key, fallback, "the architecture's default");
  std::optional<Activation> kind =
      llvm::StringSwitch<std::optional<Activation>>(name)
          .Cases({"silu", "swish"}, Activation::SiLU)
          .Case("gelu", Activation::GELU)
          .Cases({"gelu_new", "gelu_pytorch_tanh", "gelu_fast"},
                 Activation::GELUTanh)
          .Case("relu", Activation::ReLU)
          .Default(std::nullopt);
  if (!kind)
    config.refuse(key, "silu, swish, gelu, gelu_new, gelu_pytorch_tanh, "
                       "gelu_fast or relu");
  return kind.value_or(Activation::SiLU);
}

bool rshard::readTied(ModelBuilder &model, StringRef head) {
  Config &config = model.getConfig();
  if (std::optional<bool> tied = config.findFlag("tie_word_embeddings"))
    return *tied;
  bool tied = !model.hasTensor(head);
  config.infer("tie_word_embeddings", tied ? "true" : "false",
               (tied ? "the files hold no '" : "the files hold '") + head +
                   "'");
  return tied;
}

double rshard::readEps(Config &config, StringRef key, double fallback) {
  double eps = config.getNumber(key, fallback, "the architecture's default");
  if (!isPositiveFloat(eps)) {
    config.refuse(key, floatRange);
    return fallback;
  }
  return eps;
}

static int64_t readHeadSize(Config &config, const Decoder &decoder,
                            int64_t fallback) {
  std::optional<int64_t> size = config.findInteger("head_dim");
  if (!size && fallback) {
    config.infer("head_dim", Twine(fallback), "the architecture's default");
    size = fallback;
  }
  if (!size) {
    if (decoder.hidden % decoder.heads) {
      config.refuse("hidden_size",
                    "a multiple of num_attention_heads, " +
                        Twine(decoder.heads),
                    "--config head_dim=... says how large a head is");
      return 2;
    }
    size = decoder.hidden / decoder.heads;
    config.infer("head_dim", Twine(*size), "hidden_size / num_attention_heads");
  }
  if (*size % 2) {
    config.refuse("head_dim", "an even number: a rotary embedding needs pairs");
    return 2;
  }
  return *size;
}

static int64_t readKeyHeads(ModelBuilder &model, const Decoder &decoder) {
  Config &config = model.getConfig();
  StringRef key = "num_key_value_heads";
  std::optional<int64_t> heads = config.findInteger(key);
  if (!heads) {
    // Architectures differ in their default; the tensor cannot be wrong.
    std::optional<int64_t> rows =
        model.getTensorSize("model.layers.{}.self_attn.k_proj.weight", 0);
    heads =
        rows ? std::max<int64_t>(1, *rows / decoder.headSize) : decoder.heads;
    config.infer(key, Twine(*heads), "the rows of k_proj.weight / head_dim");
  }
  if (decoder.heads % *heads) {
    config.refuse(key,
                  "a divisor of num_attention_heads, " + Twine(decoder.heads));
    return decoder.heads;
  }
  return *heads;
}

Decoder rshard::readDecoder(ModelBuilder &model, int64_t headSize) {
  Config &config = model.getConfig();
  Decoder decoder;
  decoder.vocabulary = config.getInteger("vocab_size");
  decoder.hidden = config.getInteger("hidden_size");
  decoder.layers = model.readLayers("num_hidden_layers");
  decoder.intermediate = config.getInteger("intermediate_size");
  decoder.heads = config.getInteger("num_attention_heads");
  decoder.headSize = readHeadSize(config, decoder, headSize);
  decoder.keyHeads = readKeyHeads(model, decoder);
  decoder.eps = readEps(config, "rms_norm_eps", 1e-6);
  decoder.activation = readActivation(config, "hidden_act", "silu");
  decoder.tied = readTied(model, "lm_head.weight");
  decoder.rotary = readRotary(config, decoder.headSize);
  decoder.masks.assign(decoder.layers, model.getMask(MaskKind::Causal));
  return decoder;
}

void rshard::readLayerTypes(ModelBuilder &model, Decoder &decoder) {
  Config &config = model.getConfig();
  bool windows = config.getFlag("use_sliding_window", false);
  std::optional<int64_t> window = config.findInteger("sliding_window");
  std::optional<int64_t> first = config.findInteger("max_window_layers", 0);
  std::vector<std::string> types = config.getStrings("layer_types");
  if (types.empty()) {
    if (windows && window && !first)
      config.infer("max_window_layers", Twine(*(first = 28)),
                   "the architecture's default");
    for (int64_t layer = 0; layer < decoder.layers; ++layer)
      types.push_back(windows && window && layer >= *first ? "sliding_attention"
                                                           : "full_attention");
  }
  if (int64_t(types.size()) != decoder.layers)
    return config.refuse("layer_types", Twine(decoder.layers) + " layers, " +
                                            Twine(types.size()) + " given");
  for (auto [type, mask] : llvm::zip(types, decoder.masks)) {
    if (type == "full_attention")
      continue;
    if (type != "sliding_attention")
      return config.refuse("layer_types",
                           "full_attention and sliding_attention, not '" +
                               Twine(type) + "'");
    if (!windows)
      return config.refuse("use_sliding_window",
                           "true: layer_types holds sliding_attention");
    if (!window)
      return config.refuse("sliding_window",
                           "an integer: layer_types holds sliding_attention");
    mask = model.getMask(MaskKind::Window, *window);
  }
}

//===----------------------------------------------------------------------===//
// Program
//===----------------------------------------------------------------------===//

void rshard::buildDecoder(ModelBuilder &model, const Decoder &decoder) {
  std::vector<Attention> attention;
  for (MaskAttr mask : decoder.masks)
    attention.push_back({mask, 1 / std::sqrt(double(decoder.headSize))});
  model.setRotary(decoder.rotary);

  const Module embedding = {"embedding", "model.embed_tokens"};
  auto rms = [&](Value x, StringRef symbol, StringRef tensor) {
    return model.norm(NormKind::RMS, x, {symbol, tensor}, decoder.eps);
  };
  auto head = [&](Value tokens) {
    return model.embedTokens(tokens, embedding, decoder.vocabulary,
                             decoder.hidden);
  };

  auto layer = [&](Value x, const Attention &attention) {
    Value h = rms(x, "attention_norm", "model.layers.{}.input_layernorm");
    // Projects to `count` heads: norm and rotation are for queries and keys.
    auto project = [&](StringRef symbol, StringRef tensor, int64_t count) {
      return model.linear(h, {symbol, tensor, decoder.queryKeyValueBias},
                          {count, decoder.headSize});
    };
    Value q =
        project("query", "model.layers.{}.self_attn.q_proj", decoder.heads);
    Value k =
        project("key", "model.layers.{}.self_attn.k_proj", decoder.keyHeads);
    Value v =
        project("value", "model.layers.{}.self_attn.v_proj", decoder.keyHeads);
    if (decoder.headNorms) {
      q = rms(q, "query_norm", "model.layers.{}.self_attn.q_norm");
      k = rms(k, "key_norm", "model.layers.{}.self_attn.k_norm");
    }
    Value o = model.attention(model.rope(q), model.rope(k), v, attention);
    o = model.linear(
        o, {"output", "model.layers.{}.self_attn.o_proj", decoder.outputBias},
        {decoder.hidden});
    x = model.add(x, o);

    h = rms(x, "mlp_norm", "model.layers.{}.post_attention_layernorm");
    Value gate = model.linear(
        h, {"gate", "model.layers.{}.mlp.gate_proj", decoder.mlpBias},
        {decoder.intermediate});
    Value up =
        model.linear(h, {"up", "model.layers.{}.mlp.up_proj", decoder.mlpBias},
                     {decoder.intermediate});
    Value m = model.gated(decoder.activation, gate, up);
    m = model.linear(m,
                     {"down", "model.layers.{}.mlp.down_proj", decoder.mlpBias},
                     {decoder.hidden});
    return model.add(x, m);
  };

  auto tail = [&](Value x) {
    x = rms(x, "head_norm", "model.norm");
    return model.linear(x, decoder.tied ? embedding : Module{"head", "lm_head"},
                        {decoder.vocabulary});
  };
  model.ignoreTensors({"*.rotary_emb.inv_freq"});
  if (decoder.tied)
    model.ignoreTensors({"lm_head.weight"});
  model.build(decoder.hidden, attention, head, layer, tail);
}
