//===- Models.cpp - the models under test and what they should answer -----===//

#include "Models.h"
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <iostream>

namespace rshard::integration {
namespace {

[[noreturn]] void fail(const std::string &message) {
  std::cerr << message << "\n";
  std::exit(1);
}

void addModels(std::vector<Model> &models,
               const std::filesystem::path &directory) {
  for (const auto &entry : std::filesystem::directory_iterator(directory))
    if (std::filesystem::exists(entry.path() / "reference.safetensors"))
      models.push_back({entry.path().filename().string(), entry.path()});
}

} // namespace

const std::vector<Model> &models() {
  static const std::vector<Model> all = [] {
    std::vector<Model> found;
    addModels(found, RSHARD_GOLDEN);
    if (const char *more = std::getenv("RSHARD_TEST_MODELS")) {
      size_t before = found.size();
      addModels(found, more);
      if (found.size() == before)
        fail(std::string("RSHARD_TEST_MODELS: no models in ") + more);
    }
    std::sort(found.begin(), found.end(),
              [](const Model &a, const Model &b) { return a.name < b.name; });
    return found;
  }();
  return all;
}

const Model &model(const std::string &name) {
  for (const Model &one : models())
    if (one.name == name)
      return one;
  fail("no model " + name);
}

std::string identifier(std::string name) {
  for (char &c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)))
      c = '_';
  return name;
}

//===----------------------------------------------------------------------===//
// References
//===----------------------------------------------------------------------===//

Reference::Reference(const Model &model) {
  auto opened =
      runtime::SafeTensors::open(model.directory / "reference.safetensors");
  if (!opened)
    fail(opened.error().message);
  file = std::move(*opened);
}

const std::vector<int64_t> &Reference::lengths() {
  static const std::vector<int64_t> all = {1, 2, 13, 64, 173};
  return all;
}

int32_t Reference::layers() const {
  int32_t states = 0; // one before the first layer and one behind each
  while (file.find("hidden_64_" + std::to_string(states)))
    ++states;
  return states - 1;
}

template <typename T>
static std::vector<T> readTensor(const runtime::SafeTensors &file,
                                 const std::string &name, runtime::DType type) {
  auto tensor = file.get(name);
  if (!tensor)
    fail(tensor.error().message);
  if ((*tensor)->type != type)
    fail("reference " + name + " has an unexpected type");
  std::vector<T> values((*tensor)->bytes / sizeof(T));
  std::memcpy(values.data(), (*tensor)->data, (*tensor)->bytes);
  return values;
}

std::vector<int32_t> Reference::tokens(int64_t length) const {
  return readTensor<int32_t>(file, "tokens_" + std::to_string(length),
                             runtime::DType::I32);
}

std::vector<float> Reference::output(int64_t length) const {
  return readTensor<float>(file, "output_" + std::to_string(length),
                           runtime::DType::F32);
}

std::vector<int32_t> Reference::greedy() const {
  if (!file.find("greedy_13_48"))
    return {};
  return readTensor<int32_t>(file, "greedy_13_48", runtime::DType::I32);
}

double relativeError(std::span<const float> actual,
                     std::span<const float> expected) {
  if (actual.size() != expected.size())
    return std::nan("");
  double error = 0, largest = 0;
  for (size_t i = 0; i != actual.size(); ++i) {
    if (std::isnan(actual[i]))
      return std::nan("");
    error = std::max(error, std::abs(double(actual[i]) - expected[i]));
    largest = std::max(largest, std::abs(double(expected[i])));
  }
  return error / largest;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

std::vector<float> runInSteps(runtime::Session &session,
                              const std::vector<int32_t> &tokens,
                              const std::vector<int64_t> &chunks) {
  std::vector<float> results;
  std::span<const int32_t> rest(tokens);
  for (size_t i = 0; !rest.empty(); ++i) {
    size_t rows =
        std::min<size_t>(rest.size(), chunks[std::min(i, chunks.size() - 1)]);
    auto step = session.step(rest.first(rows), tokens.size() - rest.size(),
                             runtime::Want::All);
    if (!step) {
      ADD_FAILURE() << step.error().message;
      return {};
    }
    EXPECT_EQ(step->rows, static_cast<int64_t>(rows));
    results.insert(results.end(), step->data,
                   step->data + step->rows * step->width);
    rest = rest.subspan(rows);
  }
  return results;
}

std::vector<float> runAtOnce(runtime::Session &session,
                             const std::vector<int32_t> &tokens) {
  return runInSteps(session, tokens, {static_cast<int64_t>(tokens.size())});
}

std::vector<int32_t> runGreedy(runtime::Session &session,
                               std::vector<int32_t> prompt, int64_t count,
                               const std::vector<int64_t> &chunks) {
  std::vector<int32_t> tokens;
  size_t steps = 0;
  std::span<const int32_t> rest(prompt);
  while (count > 0) {
    size_t rows = std::min<size_t>(rest.size(),
                                   chunks[std::min(steps, chunks.size() - 1)]);
    int64_t position = static_cast<int64_t>(tokens.size());
    tokens.insert(tokens.end(), rest.begin(), rest.begin() + rows);
    auto step = session.step(std::span(tokens).last(rows), position);
    if (!step) {
      ADD_FAILURE() << step.error().message;
      return {};
    }
    ++steps;
    rest = rest.subspan(rows);
    if (!rest.empty())
      continue;
    std::span<const float> logits = step->row(0);
    prompt = {static_cast<int32_t>(
        std::max_element(logits.begin(), logits.end()) - logits.begin())};
    rest = prompt;
    --count;
  }
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  return tokens;
}

} // namespace rshard::integration
