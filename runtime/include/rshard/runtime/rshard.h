/*===- rshard.h - Running compiled programs from C --------------------------===
 *
 * Objects are made by *_open and *_create and released by *_free (NULL is
 * allowed). A function that fails returns NULL or a negative number and, if
 * `error` is not NULL, stores a message there that the caller releases with
 * rshard_free_error. NULL for anything else is an error, unless said otherwise.
 * No function throws a C++ exception.
 *
 *===----------------------------------------------------------------------===*/
#ifndef RSHARD_RUNTIME_RSHARD_H
#define RSHARD_RUNTIME_RSHARD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rshard_artifact rshard_artifact;
typedef struct rshard_weights rshard_weights;
typedef struct rshard_session rshard_session;

/* A compiled program: checked, not yet mapped for execution. */
rshard_artifact *rshard_artifact_open(const char *path, char **error);
void rshard_artifact_free(rshard_artifact *artifact);
/* What a caller needs to know of the model. */
typedef struct rshard_model_info {
  int64_t vocabulary;  /* 0: attention-only */
  int64_t leave_width; /* elements of a row that leaves the layers: the hidden
                          size or, attention-only, heads x head_size */
  int64_t positions;   /* the most that a session may have */
  int has_head;        /* results are logits; else hidden rows */
  int bidirectional;   /* takes one step only, from position 0 */
  const int32_t *end_tokens; /* a text ends with any of them; they live as long
                                as the artifact */
  int64_t end_token_count;
  int attention_only; /* takes rows of queries, keys and values:
                         rshard_session_attend */
  int64_t heads, key_heads, head_size;
  const char *row_type; /* "f32", "bf16" or "f16": of those rows */
} rshard_model_info;
/* Fills `*info` and returns 0, or returns -1. */
int rshard_artifact_model(const rshard_artifact *artifact,
                          rshard_model_info *info, char **error);

/* A model directory's weights. */
rshard_weights *rshard_weights_open(const char *model_directory, char **error);
/* Random ones for all that the artifact lists, the same for the same seed: for
 * benchmarks, where no file is needed. They go with any artifact that lists no
 * more. */
rshard_weights *rshard_weights_random(const rshard_artifact *artifact,
                                      uint64_t seed, char **error);
void rshard_weights_free(rshard_weights *weights);

/* 0 stands for the default: capacity of the model, largest step 512, on a GPU
 * 4096. all_rows: room for the results of every row of a step. NULL options are
 * all defaults. A session keeps what it needs: artifact and weights may be
 * freed before it. Weights are NULL for a program that has none. */
typedef struct rshard_session_options {
  int64_t capacity;
  int64_t largest_step;
  int all_rows;
  int device; /* which GPU, as the CUDA driver counts them */
} rshard_session_options;
rshard_session *rshard_session_create(const rshard_artifact *artifact,
                                      const rshard_weights *weights,
                                      const rshard_session_options *options,
                                      char **error);
void rshard_session_free(rshard_session *session);

/* Runs `count` tokens at positions [position, position + count): position equal
 * to the session's length appends, a smaller one truncates first. all_rows:
 * results of every row, else of the last one. Sets `*rows` to [result rows,
 * width] floats that live until the next step, and returns the number of rows,
 * or -1. After an error the session can go on from its length. */
int64_t rshard_session_step(rshard_session *session, const int32_t *tokens,
                            int64_t count, int64_t position, int all_rows,
                            const float **rows, char **error);
/* Attention-only: the attention of `rows` queries at positions [position,
 * position + rows), after their keys and values were appended. query is [rows,
 * heads, head_size], key and value are [rows, key_heads, head_size], row-major,
 * of row_type; in the host's memory or, for a program on a GPU, in that GPU's,
 * written by work that has ended. Positions as in rshard_session_step. Sets
 * `*output` to [rows, heads x head_size] floats in the host's memory that live
 * until the next step, and returns the number of rows, or -1. */
int64_t rshard_session_attend(rshard_session *session, const void *query,
                              const void *key, const void *value, int64_t rows,
                              int64_t position, const float **output,
                              char **error);
int64_t rshard_session_length(const rshard_session *session);
int64_t rshard_session_capacity(const rshard_session *session);
/* Floats of a result row: the vocabulary, the hidden size of a model without a
 * head, or heads x head_size. */
int64_t rshard_session_width(const rshard_session *session);

/* Threads of the process's worker pool; 0: as many as the process may run on.
 * Returns how many there are now: fewer if the system gives no more. */
int rshard_set_threads(int count);

void rshard_free_error(char *error);

#ifdef __cplusplus
}
#endif

#endif
