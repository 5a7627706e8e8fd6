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
  /// Rows of the largest step; longer prompts are cut. 0: 512, on a GPU 4096, or
  /// the capacity if it is less or the model is bidirectional.
  int64_t largestStep = 0;
  /// Which GPU, as the CUDA driver counts them; without meaning for the CPU.
  int device = 0;
  /// Room for the results of every row of a step, not only of its last one.
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

/// Result rows: logits [rows, vocabulary], or hidden rows [rows, hidden] of a
/// model without a head. Valid until the next step.
struct Rows {
  const float *data = nullptr;
  int64_t rows = 0;
  int64_t width = 0;
  std::span<const float> row(int64_t index) const {
    return {data + index * width, static_cast<size_t>(width)};
  }
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
  Session(Session &&) noexcept;
  Session &operator=(Session &&) noexcept;
  ~Session();

  /// Runs the tokens at positions [position, position + tokens.size()). C5:
  /// position == length() appends, a smaller one forgets what came at or after
  /// it first, a larger one is an error. A bidirectional model takes one step
  /// from position 0. Errors leave the session at the length from which it can
  /// go on: the position, plus the parts of a long prompt that were finished.
  /// No allocation once a step of this size has run.
  Expected<Rows> step(std::span<const int32_t> tokens, int64_t position,
                      Want want = Want::Last);

  /// Positions held.
  int64_t length() const;
  int64_t capacity() const;
  /// Floats of a result row: the vocabulary, or the hidden size.
  int64_t resultWidth() const;
  int64_t largestStep() const;
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
