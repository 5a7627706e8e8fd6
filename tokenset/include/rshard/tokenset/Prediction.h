// Rows and bytes per edge, before anything runs (C7).

#ifndef RSHARD_TOKENSET_PREDICTION_H
#define RSHARD_TOKENSET_PREDICTION_H

#include "rshard/tokenset/Routes.h"

#include <memory>

namespace rshard::tokenset {

enum class ExchangeKind { Enter, Up, Down, Leave };
/// `enter`, `up`, `down`, `leave`.
const char *exchangeName(ExchangeKind kind);

/// Elements of one row of what a model's layers send.
struct RowWidths {
  int64_t enter = 0; ///< what the first layer takes
  int64_t leave = 0; ///< what the last one returns
  int64_t query = 0;
  int64_t key = 0;   ///< and value
  int64_t heads = 0; ///< of the query
};

/// Bytes of one row of each tensor that is sent.
struct RowBytes {
  int64_t enter = 0;
  int64_t leave = 0;
  int64_t query = 0;   ///< up
  int64_t key = 0;     ///< up
  int64_t value = 0;   ///< up
  int64_t partial = 0; ///< down: o
  int64_t lse = 0;     ///< down
};

RowBytes rowBytes(const RowWidths &widths, const RowTypes &types);

/// What one kind of exchange moves from one rank to another in a step, over all
/// layers. `tensor` counts as in the transfer tables. `bytes` is 0 if source
/// and destination are the same rank: such edges are listed with their rows.
struct Edge {
  ExchangeKind exchange;
  int32_t source;
  int32_t destination;
  int32_t tensor;
  int64_t rows;
  int64_t bytes;
  bool operator==(const Edge &) const = default;
};

/// Predicts edges from the plan's sets alone, without routes: a step costs
/// O(edges log runs) whatever its length.
class Predictor {
public:
  /// `layerMasks` holds the mask of every sharded layer. Errors as for
  /// Routes::create, and sets that need more than kRunLimit runs.
  static Expected<Predictor> create(const Plan &plan,
                                    const std::vector<Mask> &layerMasks,
                                    int64_t capacity, const RowBytes &bytes);
  Predictor(Predictor &&) noexcept;
  Predictor &operator=(Predictor &&) noexcept;
  ~Predictor();

  /// Edges with at least one row, sorted by (exchange, source, destination,
  /// tensor).
  Expected<std::vector<Edge>> predict(const Step &step) const;

private:
  struct State;
  explicit Predictor(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

/// The sum of the edges' bytes.
int64_t totalBytes(const std::vector<Edge> &edges);

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_PREDICTION_H
