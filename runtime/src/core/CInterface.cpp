#include "CGuard.h"
#include "rshard/runtime/Runtime.h"
#include "rshard/runtime/rshard.h"
#include "rshard/tokenset/Plan.h"

using namespace rshard::runtime;
namespace tokenset = rshard::tokenset;

struct rshard_artifact {
  Artifact artifact;
  tokenset::RowTypes types; ///< of its plan
};
struct rshard_weights {
  Weights weights;
};
struct rshard_session {
  Session session;
};

namespace {

/// Moves the value into a new handle.
template <typename Handle, typename T>
Expected<Handle *> handle(Expected<T> value) {
  if (!value)
    return value.error();
  return new Handle{std::move(*value)};
}

Expected<int64_t> step(rshard_session *session, const int32_t *tokens,
                       int64_t count, int64_t position, bool allRows,
                       const float **rows) {
  if (!session)
    return Error{"session is NULL"};
  if (!rows)
    return Error{"rows is NULL"};
  if (count < 0)
    return Error{"a negative number of tokens: " + std::to_string(count)};
  if (!tokens && count != 0)
    return Error{"tokens is NULL, count is " + std::to_string(count)};
  Expected<Rows> result =
      session->session.step({tokens, static_cast<size_t>(count)}, position,
                            allRows ? Want::All : Want::Last);
  if (!result)
    return result.error();
  *rows = result->data;
  return result->rows;
}

} // namespace

extern "C" {

rshard_artifact *rshard_artifact_open(const char *path, char **error) {
  return guarded(nullptr, error, [&]() -> Expected<rshard_artifact *> {
    if (!path)
      return Error{"path is NULL"};
    Expected<Artifact> artifact = Artifact::open(path);
    if (!artifact)
      return artifact.error();
    Expected<tokenset::Plan> plan =
        tokenset::parsePlan(artifact->manifest().plan);
    if (!plan)
      return Error{std::string(path) + ": " + plan.error().message};
    return new rshard_artifact{std::move(*artifact), plan->types};
  });
}
void rshard_artifact_free(rshard_artifact *artifact) { delete artifact; }

int rshard_artifact_model(const rshard_artifact *artifact,
                          rshard_model_info *info, char **error) {
  return guarded(-1, error, [&]() -> Expected<int> {
    if (!artifact)
      return Error{"artifact is NULL"};
    if (!info)
      return Error{"info is NULL"};
    const ModelInfo &model = artifact->artifact.manifest().model;
    *info = {model.vocabulary, model.leaveWidth, model.maxPositions,
             model.hasHead, model.bidirectional, model.endTokens.data(),
             static_cast<int64_t>(model.endTokens.size()), model.attentionOnly,
             model.heads, model.kvHeads, model.headSize,
             // Names are literals.
             tokenset::elementTypeName(artifact->types.activations).data()};
    return 0;
  });
}

rshard_weights *rshard_weights_open(const char *directory, char **error) {
  return guarded(nullptr, error, [&]() -> Expected<rshard_weights *> {
    if (!directory)
      return Error{"model_directory is NULL"};
    return handle<rshard_weights>(Weights::open(directory));
  });
}
rshard_weights *rshard_weights_random(const rshard_artifact *artifact,
                                      uint64_t seed, char **error) {
  return guarded(nullptr, error, [&]() -> Expected<rshard_weights *> {
    if (!artifact)
      return Error{"artifact is NULL"};
    return new rshard_weights{
        Weights::random(artifact->artifact.manifest(), seed)};
  });
}
void rshard_weights_free(rshard_weights *weights) { delete weights; }

rshard_session *rshard_session_create(const rshard_artifact *artifact,
                                      const rshard_weights *weights,
                                      const rshard_session_options *options,
                                      char **error) {
  return guarded(nullptr, error, [&]() -> Expected<rshard_session *> {
    if (!artifact)
      return Error{"artifact is NULL"};
    if (!weights && !artifact->artifact.manifest().weights.empty())
      return Error{"weights is NULL"};
    SessionOptions chosen;
    if (options) {
      chosen.capacity = options->capacity;
      chosen.largestStep = options->largest_step;
      chosen.allRows = options->all_rows != 0;
      chosen.device = options->device;
    }
    return handle<rshard_session>(
        weights ? Session::create(artifact->artifact, weights->weights,
                                  std::move(chosen))
                : Session::create(artifact->artifact, std::move(chosen)));
  });
}
void rshard_session_free(rshard_session *session) { delete session; }

int64_t rshard_session_step(rshard_session *session, const int32_t *tokens,
                            int64_t count, int64_t position, int all_rows,
                            const float **rows, char **error) {
  return guarded(-1, error, [&] {
    return step(session, tokens, count, position, all_rows != 0, rows);
  });
}

int64_t rshard_session_attend(rshard_session *session, const void *query,
                              const void *key, const void *value, int64_t rows,
                              int64_t position, const float **output,
                              char **error) {
  return guarded(int64_t(-1), error, [&]() -> Expected<int64_t> {
    if (!session)
      return Error{"session is NULL"};
    if (!output)
      return Error{"output is NULL"};
    Expected<Rows> result =
        session->session.attend({query, key, value, rows}, position);
    if (!result)
      return result.error();
    *output = result->data;
    return result->rows;
  });
}

int64_t rshard_session_length(const rshard_session *session) {
  return session ? session->session.length() : -1;
}
int64_t rshard_session_capacity(const rshard_session *session) {
  return session ? session->session.capacity() : -1;
}
int64_t rshard_session_width(const rshard_session *session) {
  return session ? session->session.resultWidth() : -1;
}

int rshard_set_threads(int count) {
  setThreads(count);
  return threads();
}
void rshard_free_error(char *error) { releaseMessage(error); }

} // extern "C"
