//===- Bert.cpp - BertModel -----------------------------------------------===//
//
// Returns the last hidden rows; the pooler is no part of it. Every token is of
// type 0.
//
//===----------------------------------------------------------------------===//

#include "Architecture.h"
#include "Decoder.h"
#include <cmath>

using namespace mlir;
using namespace rshard;

static void build(ModelBuilder &model) {
  Config &config = model.getConfig();
  if (model.hasTensor("bert.embeddings.word_embeddings.weight"))
    model.setPrefix("bert.");
  int64_t vocabulary = config.getInteger("vocab_size");
  int64_t hidden = config.getInteger("hidden_size");
  int64_t layers = model.readLayers("num_hidden_layers");
  int64_t heads = config.getInteger("num_attention_heads");
  int64_t intermediate = config.getInteger("intermediate_size");
  int64_t positions = config.getInteger("max_position_embeddings");
  int64_t types =
      config.getInteger("type_vocab_size", 2, "the architecture's default");
  double eps = readEps(config, "layer_norm_eps", 1e-12);
  Activation kind = readActivation(config, "hidden_act", "gelu");
  config.require({{"position_embedding_type", "\"absolute\""},
                  {"is_decoder", "false"},
                  {"add_cross_attention", "false"}});
  config.know({"attention_probs_dropout_prob", "hidden_dropout_prob",
               "classifier_dropout", "gradient_checkpointing",
               "chunk_size_feed_forward", "tie_word_embeddings"});
  if (hidden % heads) {
    config.refuse("hidden_size",
                  "a multiple of num_attention_heads, " + Twine(heads));
    heads = 1;
  }
  int64_t headSize = hidden / heads;

  auto norm = [&](Value x, StringRef symbol, StringRef tensor) {
    return model.norm(NormKind::Layer, x, {symbol, tensor, true}, eps);
  };
  auto head = [&](Value tokens) {
    Value x =
        model.embedTokens(tokens, {"embedding", "embeddings.word_embeddings"},
                          vocabulary, hidden);
    WeightStorage firstType;
    firstType.rows = {0, 1, types};
    x = model.addRow(
        x, {"type", "embeddings.token_type_embeddings", false, firstType});
    x = model.add(
        x, model.embedPositions({"positions", "embeddings.position_embeddings"},
                                positions, hidden));
    return norm(x, "embedding_norm", "embeddings.LayerNorm");
  };
  auto layer = [&](Value x, const Attention &attention) {
    auto linear = [&](Value x, StringRef symbol, StringRef tensor,
                      ArrayRef<int64_t> row) {
      return model.linear(x, {symbol, tensor, true}, row);
    };
    Value q = linear(x, "query", "encoder.layer.{}.attention.self.query",
                     {heads, headSize});
    Value k = linear(x, "key", "encoder.layer.{}.attention.self.key",
                     {heads, headSize});
    Value v = linear(x, "value", "encoder.layer.{}.attention.self.value",
                     {heads, headSize});
    Value o = model.attention(q, k, v, attention);
    o = linear(o, "output", "encoder.layer.{}.attention.output.dense",
               {hidden});
    x = norm(model.add(o, x), "attention_norm",
             "encoder.layer.{}.attention.output.LayerNorm");
    Value h =
        linear(x, "up", "encoder.layer.{}.intermediate.dense", {intermediate});
    h = linear(model.activation(kind, h), "down",
               "encoder.layer.{}.output.dense", {hidden});
    return norm(model.add(h, x), "mlp_norm",
                "encoder.layer.{}.output.LayerNorm");
  };
  auto tail = [](Value x) { return x; };

  model.ignoreTensors({"*pooler.*", "*embeddings.position_ids", "cls.*"});
  Attention full = {model.getMask(MaskKind::Full),
                    1 / std::sqrt(double(headSize))};
  model.build(hidden, std::vector<Attention>(layers, full), head, layer, tail);
}

const Architecture rshard::bertModel = {"BertModel", "max_position_embeddings",
                                        build};
