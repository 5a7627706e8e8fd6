/* What the compiler would generate, by hand, for a model whose numbers are
 * small integers: exact in any order of summation, so that every plan must give
 * the same bits. Attention of layer l is the sum over visible keys of
 * factor(l) * value * (1 + mod(q0, 3) * (1 + mod(k1, 2))). */
#include "ToyStep.h"
#include "rshard/runtime/ABI.h"

#define NAME(name, ...) B_##name,
enum { TOY_BUFFERS(NAME) };
#undef NAME
#define NAME(name, ...) T_##name,
enum { TOY_TABLES(NAME) T_class };
enum { TOY_CLASS_TABLES(NAME) T_perClass };
#undef NAME

rshard_import_table rshard_imports; /* the loader's */

typedef const rshard_frame *Frame;

static float *rows(Frame f, int buffer) { return f->buffers[buffer].data; }
static rshard_table table(Frame f, int index) { return f->tables[index]; }
static rshard_table ofClass(Frame f, int c, int index) {
  return f->tables[T_class + c * T_perClass + index];
}

static void gather(const float *from, rshard_table index, float *to,
                   int width) {
  for (int64_t i = 0; i < index.size; ++i)
    for (int d = 0; d < width; ++d)
      to[i * width + d] = from[(int64_t)index.data[i] * width + d];
}

typedef struct {
  int pool, staging, width;
} Message;

static void exchange(rshard_frame *f, int number, int layer, rshard_table t,
                     const Message *messages) {
  rshard_imports.rshard_exchange(f, number, layer);
  rshard_imports.ncclGroupStart();
  for (int64_t i = 0; i < t.size; i += 5) {
    const int32_t *entry = t.data + i;
    Message m = messages[entry[0]];
    int64_t begin = (int64_t)entry[3] * m.width;
    size_t count = (size_t)entry[4] * (size_t)m.width;
    if (entry[1])
      rshard_imports.ncclSend(rows(f, m.staging) + begin, count,
                              RSHARD_NCCL_FLOAT32, entry[2], f->comm,
                              f->stream);
    else
      rshard_imports.ncclRecv(rows(f, m.pool) + begin, count,
                              RSHARD_NCCL_FLOAT32, entry[2], f->comm,
                              f->stream);
  }
  rshard_imports.ncclGroupEnd();
}

static float modulo(float x, int m) {
  return x == x ? (float)((int64_t)x % m) : x; /* NaN stays NaN */
}

static void attend(Frame f, int c, int layer, const float *model) {
  rshard_table begin = ofClass(f, c, T_appendBegin);
  int64_t columns = ofClass(f, c, T_cacheLength).size;
  if (columns == 0)
    return;
  int64_t cacheRows = ofClass(f, c, T_cachePosition).size / columns;
  float factor = *(const float *)f->weights[toyFactor + layer];
  int64_t base = (layer - (int64_t)model[0]) * columns;
  for (int64_t k = 0; k < columns; ++k)
    for (int32_t i = begin.data[k]; i < begin.data[k + 1]; ++i) {
      int64_t from = ofClass(f, c, T_appendSource).data[i];
      int64_t to = (base + k) * cacheRows + ofClass(f, c, T_appendRow).data[i];
      for (int d = 0; d < toyHidden; ++d) {
        rows(f, B_cacheKey)[to * toyHidden + d] =
            rows(f, B_key)[from * toyHidden + d];
        rows(f, B_cacheValue)[to * toyHidden + d] =
            rows(f, B_value)[from * toyHidden + d] * factor;
      }
    }
  rshard_table cells = ofClass(f, c, T_cellRow);
  for (int64_t cell = 0; cell < cells.size; ++cell) {
    int32_t j = cells.data[cell], k = ofClass(f, c, T_cellColumn).data[cell];
    const int32_t *queries = ofClass(f, c, T_queryBegin).data + j;
    int32_t reach = ofClass(f, c, T_reachBegin).data[cell] - queries[0];
    for (int32_t q = queries[0]; q < queries[1]; ++q) {
      float *o = rows(f, B_partialO) + (int64_t)q * toyHidden;
      float *lse = rows(f, B_partialLse) + q;
      if (ofClass(f, c, T_cellFirst).data[cell])
        o[0] = o[1] = *lse = 0;
      const float *query =
          rows(f, B_query) +
          (int64_t)ofClass(f, c, T_querySource).data[q] * toyHidden;
      int32_t last = ofClass(f, c, T_reachLast).data[reach + q];
      for (int32_t i = ofClass(f, c, T_reachFirst).data[reach + q]; i < last;
           ++i) {
        int64_t row = ((base + k) * cacheRows + i) * toyHidden;
        float weight = 1 + modulo(query[0], 3) *
                               (1 + modulo(rows(f, B_cacheKey)[row + 1], 2));
        for (int d = 0; d < toyHidden; ++d)
          o[d] += weight * rows(f, B_cacheValue)[row + d];
        *lse += 1;
      }
    }
  }
}

/* lse counts the keys: a row that misses one is spoiled. */
static void merge(Frame f, int c) {
  rshard_table comp = table(f, T_compPosition);
  rshard_table begin = ofClass(f, c, T_mergeBegin);
  for (int64_t i = 0; i < comp.size; ++i) {
    float *x = rows(f, B_compX) + i * toyHidden, keys = 0;
    for (int32_t s = begin.data[i]; s < begin.data[i + 1]; ++s) {
      int64_t row = ofClass(f, c, T_mergeSource).data[s];
      for (int d = 0; d < toyHidden; ++d)
        x[d] += rows(f, B_partialO)[row * toyHidden + d];
      keys += rows(f, B_partialLse)[row];
    }
    int32_t visible = comp.data[i] + 1;
    if (c == 1 && visible > 3)
      visible = 3;
    if (keys != (float)visible)
      x[0] = __builtin_nanf("");
  }
}

void rshard_step(rshard_frame *f) {
  const float *embedding = f->weights[toyEmbedding];
  const float *model = f->weights[toyModel];
  rshard_table tokens = table(f, T_clientToken);
  for (int64_t i = 0; i < tokens.size; ++i)
    for (int d = 0; d < toyHidden; ++d)
      rows(f, B_enter)[i * toyHidden + d] =
          embedding[tokens.data[i] * toyHidden + d];
  Message enter = {B_enter, B_enterSend, toyHidden};
  gather(rows(f, B_enter), table(f, T_enterPack), rows(f, B_enterSend),
         toyHidden);
  exchange(f, 0, 0, table(f, T_enterTransfer), &enter);
  gather(rows(f, B_enter), table(f, T_enterSource), rows(f, B_compX),
         toyHidden);

  rshard_table comp = table(f, T_compPosition);
  for (int64_t i = 0; i < comp.size; ++i)
    for (int d = 0; d < toyHidden; ++d)
      rows(f, B_compX)[i * toyHidden + d] *=
          rows(f, B_rope)[(int64_t)comp.data[i] * 2]; /* cosine */
  for (int layer = (int)model[0]; layer < (int)(model[0] + model[1]); ++layer) {
    int c = (int)model[2 + layer];
    for (int64_t i = 0; i < comp.size * toyHidden; ++i)
      rows(f, B_query)[i] = rows(f, B_key)[i] = rows(f, B_value)[i] =
          rows(f, B_compX)[i];
    Message up[] = {{B_query, B_querySend, toyHidden},
                    {B_key, B_keySend, toyHidden},
                    {B_value, B_valueSend, toyHidden}};
    for (int i = 0; i < 3; ++i)
      gather(rows(f, up[i].pool),
             ofClass(f, c, i ? T_upKeyPack : T_upQueryPack),
             rows(f, up[i].staging), toyHidden);
    exchange(f, 1 + 2 * c, layer, ofClass(f, c, T_upTransfer), up);
    attend(f, c, layer, model);
    Message down[] = {{B_partialO, B_partialOSend, toyHidden},
                      {B_partialLse, B_partialLseSend, 1}};
    for (int i = 0; i < 2; ++i)
      gather(rows(f, down[i].pool), ofClass(f, c, T_downPack),
             rows(f, down[i].staging), down[i].width);
    exchange(f, 2 + 2 * c, layer, ofClass(f, c, T_downTransfer), down);
    merge(f, c);
  }

  for (int64_t i = 0; i < comp.size * toyHidden; ++i)
    rows(f, B_leave)[i] = rows(f, B_compX)[i];
  Message leave = {B_leave, B_leaveSend, toyHidden};
  gather(rows(f, B_leave), table(f, T_leavePack), rows(f, B_leaveSend),
         toyHidden);
  exchange(f, 1 + 2 * toyClasses, 0, table(f, T_leaveTransfer), &leave);
  gather(rows(f, B_leave), table(f, T_leaveSource), rows(f, B_clientOut),
         toyHidden);
  rshard_table head = table(f, T_wantedRow);
  for (int64_t i = 0; i < head.size; ++i)
    for (int v = 0; v < toyVocabulary; ++v) {
      float sum = 0;
      for (int d = 0; d < toyHidden; ++d)
        sum += rows(f, B_clientOut)[head.data[i] * toyHidden + d] *
               embedding[v * toyHidden + d];
      rows(f, B_result)[i * toyVocabulary + v] = sum;
    }
}
