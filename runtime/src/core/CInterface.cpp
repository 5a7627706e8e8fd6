#include "rshard/runtime/Runtime.h"
#include "rshard/runtime/rshard.h"

#include <cstdlib>
#include <cstring>

using namespace rshard::runtime;

struct rshard_artifact {
  Artifact artifact;
};
struct rshard_weights {
  Weights weights;
};
struct rshard_session {
  Session session;
};

namespace {

void report(const Error &error, char **out) {
  if (out)
    *out = ::strdup(error.message.c_str());
}

/// Moves the value into a new handle, or reports.
template <typename Handle, typename T>
Handle *handle(Expected<T> value, char **error) {
  if (value)
    return new Handle{std::move(*value)};
  report(value.error(), error);
  return nullptr;
}

} // namespace

extern "C" {

rshard_artifact *rshard_artifact_open(const char *path, char **error) {
  return handle<rshard_artifact>(Artifact::open(path), error);
}
void rshard_artifact_free(rshard_artifact *artifact) { delete artifact; }

rshard_weights *rshard_weights_open(const char *directory, char **error) {
  return handle<rshard_weights>(Weights::open(directory), error);
}
void rshard_weights_free(rshard_weights *weights) { delete weights; }

rshard_session *rshard_session_create(const rshard_artifact *artifact,
                                      const rshard_weights *weights,
                                      const rshard_session_options *options,
                                      char **error) {
  SessionOptions chosen;
  if (options) {
    chosen.capacity = options->capacity;
    chosen.largestStep = options->largest_step;
    chosen.allRows = options->all_rows != 0;
  }
  return handle<rshard_session>(
      Session::create(artifact->artifact, weights->weights, std::move(chosen)),
      error);
}
void rshard_session_free(rshard_session *session) { delete session; }

int64_t rshard_session_step(rshard_session *session, const int32_t *tokens,
                            int64_t count, int64_t position, int all_rows,
                            const float **rows, char **error) {
  if (count < 0) {
    report(Error{"a negative number of tokens"}, error);
    return -1;
  }
  Expected<Rows> result =
      session->session.step({tokens, static_cast<size_t>(count)}, position,
                            all_rows ? Want::All : Want::Last);
  if (!result) {
    report(result.error(), error);
    return -1;
  }
  *rows = result->data;
  return result->rows;
}

int64_t rshard_session_length(const rshard_session *session) {
  return session->session.length();
}
int64_t rshard_session_capacity(const rshard_session *session) {
  return session->session.capacity();
}
int64_t rshard_session_width(const rshard_session *session) {
  return session->session.resultWidth();
}

void rshard_set_threads(int count) { setThreads(count); }
void rshard_free_error(char *error) { std::free(error); }

} // extern "C"
