/*===- ABI.h - What generated code and the runtime agree on -----------------===
 *
 * Plain C. The artifact's host code exports `rshard_step` and `rshard_imports`,
 * a table of the functions that it calls. It needs no symbol of the process
 * that loads it (memcpy, memmove and memset aside). The manifest lists the
 * buffers, tables and weights of a frame in index order. Kernels of a GPU are
 * launched so that each may start before the earlier ones have ended: they wait
 * themselves (griddepcontrol.wait) before they touch what kernels write.
 *
 *===----------------------------------------------------------------------===*/
#ifndef RSHARD_RUNTIME_ABI_H
#define RSHARD_RUNTIME_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever anything on this page or the manifest's fields change; an
 * artifact states the one it was built for, and no other is read. */
#define RSHARD_ABI_VERSION 6

/* Row-major [rows, width], 64-byte aligned; the code knows the width. `rows` is
 * what this step uses: a pool counts its own rows and the largest received part
 * over the exchanges that fill it. Buffers that outlive a step (caches, RoPE
 * tables) state their capacity. */
typedef struct rshard_buffer {
  void *data;
  int64_t rows;
} rshard_buffer;

typedef struct rshard_table {
  const int32_t *data;
  int64_t size;
} rshard_table;

/* Argument of a kernel: a view as its address and its rows, or an integer
 * (rows) without an address. */
typedef struct rshard_argument {
  void *data;
  int64_t rows;
} rshard_argument;

/* Everything one rank needs for one step. Nothing in it changes while the step
 * runs. */
typedef struct rshard_frame {
  const rshard_buffer *buffers;
  const rshard_table *tables;
  const void *const *weights;
  void *comm;
  void *stream;
  void *session;
} rshard_frame;

/* The artifact's entry: one step of one rank, all its nodes. */
typedef void (*rshard_step_fn)(rshard_frame *frame);
#define RSHARD_STEP_SYMBOL "rshard_step"

/* What a step finds on its stack at least, in bytes; so does a call of
 * rshard_parallel_for's function. */
#define RSHARD_STACK_BYTES (1 << 20)

/* ncclDataType_t */
enum {
  RSHARD_NCCL_INT32 = 2,
  RSHARD_NCCL_FLOAT16 = 6,
  RSHARD_NCCL_FLOAT32 = 7,
  RSHARD_NCCL_BFLOAT16 = 9
};

/* What the code calls. Zero in the code; who loads it fills all of it before
 * the first step. The functions of NCCL have its signatures and semantics:
 * enumerations are int, 0 is success. */
typedef struct rshard_import_table {
  /* Said before the group of an exchange: for routes, logs and messages.
   * `exchange` indexes the manifest's exchanges, `layer` counts the model's
   * layers. */
  void (*rshard_exchange)(rshard_frame *frame, int32_t exchange, int32_t layer);

  /* Calls fn on disjoint ranges that cover [0, n), from several threads. The
   * ranges depend on n alone (C9). Called from inside fn it runs inline. */
  void (*rshard_parallel_for)(void (*fn)(void *ctx, int64_t begin, int64_t end),
                              void *ctx, int64_t n);

  /* Launches a kernel of the manifest (target cuda), behind what was launched
   * before. The arguments have been read when it returns. An error ends the
   * step after its last launch. */
  void (*rshard_run)(rshard_frame *frame, int32_t kernel,
                     const rshard_argument *arguments, int32_t count);

  int (*ncclGroupStart)(void);
  int (*ncclGroupEnd)(void);
  int (*ncclSend)(const void *data, size_t count, int datatype, int peer,
                  void *comm, void *stream);
  int (*ncclRecv)(void *data, size_t count, int datatype, int peer, void *comm,
                  void *stream);
} rshard_import_table;
#define RSHARD_IMPORTS_SYMBOL "rshard_imports"

/* The table's members in their order, which the compiler goes by. */
#define RSHARD_IMPORTS(IMPORT)                                                 \
  IMPORT(rshard_exchange)                                                      \
  IMPORT(rshard_parallel_for)                                                  \
  IMPORT(rshard_run)                                                           \
  IMPORT(ncclGroupStart)                                                       \
  IMPORT(ncclGroupEnd)                                                         \
  IMPORT(ncclSend)                                                             \
  IMPORT(ncclRecv)

#ifdef __cplusplus
}
#endif

#endif
