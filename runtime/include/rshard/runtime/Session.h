//===- Session.h - One sequence running on a compiled program
//---------------===//
#ifndef RSHARD_RUNTIME_SESSION_H
#define RSHARD_RUNTIME_SESSION_H

#include "rshard/runtime/Artifact.h"
#include "rshard/runtime/Transport.h"
#include "rshard/runtime/Weights.h"

#include <memory>
#include <span>
#include <vector>

namespace rshard::runtime {

struct SessionOptions {
  /// Positions that the session can hold; 0: as many as the model has.
  int64_t capacity = 0;
  /// Rows of the largest step; longer prompts are cut. 0: 512, on a GPU 4096,
  /// or the capacity if it is less or the model is bidirectional.
  int64_t largestStep = 0;
  /// Which GPU, as the CUDA driver counts them; without meaning for the CPU.
  int device = 0;
  /// Room for the results of every row of a step, not only of its last one; an
  /// attention-only program always has it.
  bool allRows = false;
  /// Fills the arenas with NaN before every step (caches: once), and what a
  /// pool received before every exchange into it, so that reading a row that
  /// was not sent shows in the results.
  bool poison = false;
  /// Keeps a record of every received message.
  bool receiveLog = false;
  std::vector<MutedEdge> muted = {};
  /// Called while weights are packed.
  Progress progress = {};
};

/// Which rows' results a step returns.
enum class Want : uint8_t { Last, All, None };

/// Result rows: logits [rows, vocabulary], hidden rows [rows, hidden] of a
/// model without a head, or the rows of attend(). Valid until the next step.
struct Rows {
  const float *data = nullptr;
  int64_t rows = 0;
  int64_t width = 0;
  std::span<const float> row(int64_t index) const {
    return {data + index * width, static_cast<size_t>(width)};
  }
};

/// The rows of one step of an attention-only program: query is [rows, heads,
/// head size], key and value are [rows, key heads, head size], each row-major
/// and without gaps, of Session::rowType(). In the memory of the host or, for a
/// program on a GPU, of that GPU.
struct AttentionRows {
  const void *query = nullptr;
  const void *key = nullptr;
  const void *value = nullptr;
  int64_t rows = 0;
};

/// All ranks of the plan in this process (the `local` transport). Not for use
/// from two threads at a time; sessions of one process share weights and worker
/// threads.
class Session {
public:
  /// Checks that the weights are the artifact's model (C10), packs them, maps
  /// the code, and lays out one arena per rank. Errors: another model; a
  /// capacity beyond the model's or the plan's positions; tables or buffers
  /// that this runtime does not know; no memory.
  static Expected<Session> create(const Artifact &artifact,
                                  const Weights &weights,
                                  SessionOptions options = {});
  /// The same for a program that has no weights; one that has some is an error.
  static Expected<Session> create(const Artifact &artifact,
                                  SessionOptions options = {});
  Session(Session &&) noexcept;
  Session &operator=(Session &&) noexcept;
  ~Session();

  /// Runs the tokens at positions [position, position + tokens.size()). C5:
  /// position == length() appends, a smaller one forgets what came at or after
  /// it first, a larger one is an error. A bidirectional model takes one step
  /// from position 0. Errors leave the session at the length from which it can
  /// go on: the position, plus the parts of a long prompt that were finished.
  /// No allocation once a step of this size has run. An attention-only program
  /// takes no tokens: an error.
  Expected<Rows> step(std::span<const int32_t> tokens, int64_t position,
                      Want want = Want::Last);

  /// Attention-only: appends the rows' keys and values at positions [position,
  /// position + rows.rows) and returns the attention of every query, [rows,
  /// heads x head size], in f32 in the host's memory. Positions as in step().
  /// The rows are read before it returns, on a GPU in a stream of the session's
  /// own: work that writes them has ended. Errors: a program that takes tokens,
  /// no rows, a null pointer, and those of step().
  Expected<Rows> attend(const AttentionRows &rows, int64_t position);

  /// Positions held.
  int64_t length() const;
  int64_t capacity() const;
  /// Floats of a result row: the vocabulary, the hidden size, or heads x head
  /// size.
  int64_t resultWidth() const;
  int64_t largestStep() const;
  /// Element type of queries, keys and values: the plan's activations.
  tokenset::ElementType rowType() const;
  const Manifest &manifest() const;
  int32_t ranks() const;
  /// Bytes of all arenas, and of the packed weights.
  uint64_t arenaBytes() const;
  uint64_t packedBytes() const;

  /// Edges with traffic since the last reset.
  std::vector<EdgeCount> counts() const;
  void resetCounts();
  const std::vector<ReceiveRecord> &receiveLog() const;
  void clearReceiveLog();
  void setMuted(std::vector<MutedEdge> edges);

private:
  struct State;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

} // namespace rshard::runtime

#endif
