//===- Models.h - the models under test and what they should answer -------===//

#ifndef RSHARD_TEST_INTEGRATION_MODELS_H
#define RSHARD_TEST_INTEGRATION_MODELS_H

#include "rshard/runtime/Session.h"
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace rshard::integration {

/// The bound of every comparison with a reference: max abs over max abs.
inline constexpr double kBound = 5e-5;

/// A model directory with reference.safetensors beside the weights, as
/// test/golden has them.
struct Model {
  std::string name;
  std::filesystem::path directory;
};

/// Those of test/golden and, if RSHARD_TEST_MODELS names a directory, the
/// models in it; sorted by name.
const std::vector<Model> &models();
const Model &model(const std::string &name);
/// The name with what no test name may have replaced by `_`.
std::string identifier(std::string name);

/// reference.safetensors. Ends the program if the file is not as expected.
class Reference {
public:
  explicit Reference(const Model &model);
  static const std::vector<int64_t> &lengths();
  /// Layers of the model.
  int32_t layers() const;

  std::vector<int32_t> tokens(int64_t length) const;
  /// [length, width]
  std::vector<float> output(int64_t length) const;
  /// 13 tokens of prompt and the 48 greedy ones that follow; empty for a model
  /// that is not causal.
  std::vector<int32_t> greedy() const;

private:
  runtime::SafeTensors file;
};

/// max |actual - expected| / max |expected|; NaN if any actual value is.
double relativeError(std::span<const float> actual,
                     std::span<const float> expected);

/// Runs the tokens in steps of at most `chunk` rows from position 0 and returns
/// the results of every row. Ends the test with a failure on an error.
std::vector<float> runInSteps(runtime::Session &session,
                              const std::vector<int32_t> &tokens,
                              const std::vector<int64_t> &chunks);
/// One step from position 0.
std::vector<float> runAtOnce(runtime::Session &session,
                             const std::vector<int32_t> &tokens);
/// The prompt in steps of the given sizes, the last of which repeats, then
/// `count` greedy tokens; returns both.
std::vector<int32_t> runGreedy(runtime::Session &session,
                               std::vector<int32_t> prompt, int64_t count,
                               const std::vector<int64_t> &chunks);

} // namespace rshard::integration

#endif // RSHARD_TEST_INTEGRATION_MODELS_H
