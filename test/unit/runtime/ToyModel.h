// The toy model behind ToyStep.c: its files, its artifact and its mathematics.

#ifndef RSHARD_TEST_UNIT_RUNTIME_TOYMODEL_H
#define RSHARD_TEST_UNIT_RUNTIME_TOYMODEL_H

#include "TestFiles.h"
#include "ToyStep.h"
#include "rshard/runtime/Hash.h"
#include "rshard/runtime/Session.h"
#include "rshard/tokenset/Plan.h"

#include <gtest/gtest.h>

namespace rshard::runtime {

constexpr int toyLayers = 3;
inline const std::vector<int32_t> toyMasks{0, 1, 0}; // causal, window 3, causal

inline std::vector<float> toyEmbeddings() {
  return {0, 1, 1, 0, 2, 1, 1, 2, 2, 2};
}
inline float toyFactorOf(int layer) { return layer == 1 ? 2 : 1; }

inline std::vector<int32_t> someTokens(int64_t count) {
  std::vector<int32_t> out;
  for (int64_t i = 0; i != count; ++i)
    out.push_back(static_cast<int32_t>((i * i + 3 * i + 1) % toyVocabulary));
  return out;
}

/// The model's results for every position, in plain loops.
inline std::vector<float> toyResults(const std::vector<int32_t> &tokens,
                                     const tokenset::Plan &plan) {
  size_t n = tokens.size();
  std::vector<float> embedding = toyEmbeddings();
  std::vector<double> x(2 * n);
  for (size_t p = 0; p != n; ++p)
    for (size_t d = 0; d != 2; ++d)
      x[2 * p + d] = embedding[static_cast<size_t>(tokens[p]) * 2 + d] * 2;
  for (int l = plan.clientFirst; l != toyLayers - plan.clientLast; ++l) {
    std::vector<double> next = x;
    for (size_t q = 0; q != n; ++q)
      for (size_t k = 0; k <= q; ++k) {
        if (toyMasks[static_cast<size_t>(l)] == 1 && q - k >= 3)
          continue;
        int64_t query = static_cast<int64_t>(x[2 * q]),
                key = static_cast<int64_t>(x[2 * k + 1]);
        for (size_t d = 0; d != 2; ++d)
          next[2 * q + d] +=
              static_cast<double>(1 + query % 3 * (1 + key % 2)) *
              x[2 * k + d] * toyFactorOf(l);
      }
    x = next;
  }
  std::vector<float> out;
  for (size_t p = 0; p != n; ++p)
    for (size_t v = 0; v != toyVocabulary; ++v)
      out.push_back(static_cast<float>(x[2 * p] * embedding[2 * v] +
                                       x[2 * p + 1] * embedding[2 * v + 1]));
  return out;
}

/// The model on disk, and artifacts for plans.
class ToyModel {
public:
  ToyModel() {
    std::vector<float> model{0, 0, 0, 1, 0}, data = toyEmbeddings();
    std::string header =
        R"({"embed":{"dtype":"F32","shape":[5,2],"data_offsets":[0,40]})";
    size_t at = 40;
    for (int l = 0; l != toyLayers; ++l, at += 4) {
      header += ",\"l." + std::to_string(l) +
                R"(.factor":{"dtype":"F32","shape":[1],"data_offsets":[)" +
                std::to_string(at) + "," + std::to_string(at + 4) + "]}";
      data.push_back(toyFactorOf(l));
    }
    header += R"(,"model":{"dtype":"F32","shape":[5],"data_offsets":[)" +
              std::to_string(at) + "," + std::to_string(at + 20) + "]}}";
    this->header = header;
    numbers = data;
    write(0, toyLayers);
  }

  /// The program reads from the weights which layers are sharded.
  void write(int first, int count) {
    std::vector<float> data = numbers;
    data.insert(data.end(), {float(first), float(count)});
    data.insert(data.end(), toyMasks.begin(), toyMasks.end());
    directory.write("model.safetensors", safeTensors(header, bytesOf(data)));
    directory.write("config.json", R"({"model_type":"toy"})");
  }

  Manifest manifest(const tokenset::Plan &plan) const {
    Manifest m;
    m.abi = RSHARD_ABI_VERSION;
    m.model.architecture = "Toy";
    m.model.vocabulary = toyVocabulary;
    m.model.leaveWidth = m.model.headSize = toyHidden;
    m.model.heads = m.model.kvHeads = 1;
    m.model.layers = toyLayers;
    m.model.masks = {tokenset::Mask::causal(), tokenset::Mask::windowed(3)};
    m.model.layerMask = toyMasks;
    m.model.maxPositions = 40;
    m.plan = tokenset::printPlan(plan);
#define BUFFER(id, name, width, rows)                                          \
  m.buffers.push_back({name, ElementType::F32, width, RowClass::rows});
    TOY_BUFFERS(BUFFER)
#undef BUFFER
#define TABLE(id, name) m.tables.push_back(name);
    TOY_TABLES(TABLE)
#undef TABLE
    for (int c = 0; c != toyClasses; ++c) {
#define TABLE(id, head, tail)                                                  \
  m.tables.push_back(head + std::to_string(c) + tail);
      TOY_CLASS_TABLES(TABLE)
#undef TABLE
    }
    m.weights = {
        {"embedding", {}, toyEmbedding, "rows:f32", {{"embed", {5, 2}}}},
        {"model", {}, toyModel, "vector", {{"model", {5}}}},
        {"factor",
         {{0, toyLayers}},
         toyFactor,
         "vector",
         {{"l.{}.factor", {1}}}}};
    m.rope = {{"rope", {0.0}, 2.0}};
    m.exchanges = standardExchanges(m.model, plan.types);
    return m;
  }

  Expected<Artifact> artifact(Manifest m) {
    Expected<Weights> weights = Weights::open(directory.path);
    EXPECT_TRUE(weights) << weights.error().message;
    if (m.hashes.model.empty())
      m.hashes.model = weights->identity();
    constexpr std::string_view ir = "module {}\n";
    m.hashes.ir = sha256(ir);
    std::string host = readAll(RSHARD_TEST_STEP);
    Expected<void> written = writeArtifact(directory / "toy.rshard", m,
                                           std::as_bytes(std::span(host)), ir);
    EXPECT_TRUE(written);
    return Artifact::open(directory / "toy.rshard");
  }

  Expected<Session> session(const tokenset::Plan &plan,
                            SessionOptions options = {}) {
    write(plan.clientFirst, toyLayers - plan.clientFirst - plan.clientLast);
    return session(manifest(plan), std::move(options));
  }
  Expected<Session> session(Manifest m, SessionOptions options = {}) {
    Expected<Artifact> opened = artifact(std::move(m));
    if (!opened)
      return opened.error();
    return Session::create(*opened, *Weights::open(directory.path),
                           std::move(options));
  }

  TestDirectory directory;

private:
  std::string header;
  std::vector<float> numbers;
};

} // namespace rshard::runtime

#endif
