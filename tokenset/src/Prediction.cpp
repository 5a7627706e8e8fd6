#include "rshard/tokenset/Prediction.h"

#include "Topology.h"

namespace rshard::tokenset {
namespace {

/// Rows of an edge: those of `set` in [from, stop), in steps that reach beyond
/// `after`.
struct Part {
  TokenSet set;
  Position from = 0;
  Position stop = kNever;
  Position after = -1;

  int64_t count(const Step &step) const {
    Position end = step.position + step.rows;
    return after < end
               ? set.count(std::max(step.position, from), std::min(end, stop))
               : 0;
  }
};

/// Query rows go from a CompNode rank to an AttnNode rank, and as many partials
/// come back; keys and values go the same way.
struct Pair {
  int32_t comp;
  int32_t attn;
  std::vector<Part> queries, keys;
};

/// The layers that share a mask.
struct Layers {
  Mask mask;
  int64_t count;
  std::vector<Pair> pairs; // by (comp, attn)
};

/// Set operations that cut their operands to the capacity where these have no
/// bounded common period.
struct Within {
  Position capacity;

  template <typename Operation>
  Expected<TokenSet> apply(const TokenSet &a, const TokenSet &b,
                           Operation operation) const {
    if (auto whole = (a.*operation)(b))
      return whole;
    auto cutA = a.clipped(0, capacity), cutB = b.clipped(0, capacity);
    if (!cutA)
      return cutA;
    if (!cutB)
      return cutB;
    return ((*cutA).*operation)(*cutB);
  }
  Expected<TokenSet> unite(const TokenSet &a, const TokenSet &b) const {
    return apply(a, b, &TokenSet::unite);
  }
  Expected<TokenSet> intersect(const TokenSet &a, const TokenSet &b) const {
    return apply(a, b, &TokenSet::intersect);
  }
};

} // namespace

struct Predictor::State {
  Plan plan;
  Topology topology;
  Within within;
  RowBytes bytes;
  std::vector<TokenSet> hidden; // of rank a: the union of its R_i
  std::vector<Layers> layers;

  State(const Plan &from, int64_t capacity, const RowBytes &bytes)
      : plan(from), topology(plan), within{capacity}, bytes(bytes) {}

  Expected<void> addQueries(const Mask &mask, Pair &pair) const;
  Expected<void> addKeys(const Mask &mask, Pair &pair) const;
  std::vector<int32_t> cellsOf(int32_t rank, bool ofRow, int32_t index) const;
};

/// The columns of grid row `index` that have their cell on `rank`, or the rows
/// of a grid column.
std::vector<int32_t> Predictor::State::cellsOf(int32_t rank, bool ofRow,
                                               int32_t index) const {
  std::vector<int32_t> list;
  int32_t count = ofRow ? plan.keyShards() : plan.queryShards();
  for (int32_t other = 0; other < count; ++other)
    if (plan.ranks[ofRow ? plan.attnNode(index, other)
                         : plan.attnNode(other, index)] == rank)
      list.push_back(other);
  return list;
}

Expected<void> Predictor::State::addQueries(const Mask &mask,
                                            Pair &pair) const {
  for (int32_t j : topology.rowsOfRank[pair.attn]) {
    auto rows = within.intersect(hidden[pair.comp], plan.S[j]);
    Position firstKey = kNever;
    for (int32_t k : cellsOf(pair.attn, true, j)) {
      firstKey = std::min(firstKey, plan.T[k].next(0));
    }
    if (mask.kind == MaskKind::Window && rows) {
      // The queries that see some key of these columns.
      TokenSet seeing;
      for (int32_t k : cellsOf(pair.attn, true, j)) {
        auto wide = plan.T[k].widened(0, mask.window - 1);
        auto both = wide ? within.unite(seeing, *wide) : std::move(wide);
        if (!both)
          return both.error();
        seeing = std::move(*both);
      }
      rows = within.intersect(*rows, seeing);
    }
    if (!rows)
      return rows.error();
    bool full = mask.kind == MaskKind::Full;
    if (!rows->empty())
      pair.queries.push_back({std::move(*rows), full ? 0 : firstKey, kNever,
                              full ? firstKey : -1});
  }
  return {};
}

Expected<void> Predictor::State::addKeys(const Mask &mask, Pair &pair) const {
  for (int32_t k = 0; k < plan.keyShards(); ++k) {
    std::vector<int32_t> gridRows = cellsOf(pair.attn, false, k);
    if (gridRows.empty())
      continue;
    auto rows = within.intersect(hidden[pair.comp], plan.T[k]);
    if (!rows)
      return rows.error();
    if (rows->empty())
      continue;
    if (mask.kind == MaskKind::Full) {
      Position firstQuery = kNever;
      for (int32_t j : gridRows)
        firstQuery = std::min(firstQuery, plan.S[j].next(0));
      pair.keys.push_back({std::move(*rows), 0, kNever, firstQuery});
      continue;
    }
    // Grid row j needs no key after its last query below the capacity. Between
    // two such ends, the rows whose end is later decide.
    std::vector<std::pair<Position, int32_t>> ends;
    for (int32_t j : gridRows)
      ends.push_back({plan.S[j].previous(within.capacity) + 1, j});
    std::sort(ends.begin(), ends.end(), std::greater<>());
    TokenSet seen;
    for (size_t i = 0; i < ends.size(); ++i) {
      Position from = i + 1 < ends.size() ? ends[i + 1].first : 0;
      if (mask.kind == MaskKind::Window) {
        auto wide = plan.S[ends[i].second].widened(mask.window - 1, 0);
        auto both = wide ? within.unite(seen, *wide) : std::move(wide);
        if (!both)
          return both.error();
        seen = std::move(*both);
      }
      if (from == ends[i].first)
        continue;
      auto part = mask.kind == MaskKind::Window ? within.intersect(*rows, seen)
                                                : Expected<TokenSet>(*rows);
      if (!part)
        return part.error();
      pair.keys.push_back({std::move(*part), from, ends[i].first, -1});
    }
  }
  return {};
}

Predictor::Predictor(std::unique_ptr<State> state) : state(std::move(state)) {}
Predictor::Predictor(Predictor &&) noexcept = default;
Predictor &Predictor::operator=(Predictor &&) noexcept = default;
Predictor::~Predictor() = default;

Expected<Predictor> Predictor::create(const Plan &plan,
                                      const std::vector<Mask> &layerMasks,
                                      int64_t capacity, const RowBytes &bytes) {
  // The same refusals as for routes.
  if (auto bounds = routeBounds(plan, capacity, 1, 0); !bounds)
    return bounds.error();
  auto state = std::make_unique<State>(plan, capacity, bytes);
  const Topology &topology = state->topology;
  state->hidden.resize(topology.rankCount);
  for (int32_t a : topology.compRanks)
    for (int32_t i : topology.compsOfRank[a]) {
      auto both = state->within.unite(state->hidden[a], plan.R[i]);
      if (!both)
        return both.error();
      state->hidden[a] = std::move(*both);
    }
  for (const Mask &layerMask : layerMasks) {
    if (layerMask.kind == MaskKind::Window && layerMask.window < 1)
      return Error{"window " + std::to_string(layerMask.window) +
                   ": it must be at least 1"};
    Mask mask = layerMask.below(capacity);
    auto known =
        std::find_if(state->layers.begin(), state->layers.end(),
                     [&](const Layers &layers) { return layers.mask == mask; });
    if (known != state->layers.end()) {
      ++known->count;
      continue;
    }
    Layers layers{mask, 1, {}};
    for (int32_t a : topology.compRanks)
      for (int32_t b : topology.attnRanks) {
        Pair pair{a, b, {}, {}};
        if (auto status = state->addQueries(mask, pair); !status)
          return status.error();
        if (auto status = state->addKeys(mask, pair); !status)
          return status.error();
        layers.pairs.push_back(std::move(pair));
      }
    state->layers.push_back(std::move(layers));
  }
  return Predictor(std::move(state));
}

Expected<std::vector<Edge>> Predictor::predict(const Step &step) const {
  const Topology &topology = state->topology;
  const RowBytes &bytes = state->bytes;
  if (step.position < 0 || step.rows < 0 ||
      step.rows > state->within.capacity - step.position)
    return Error{"step of " + std::to_string(step.rows) + " rows at position " +
                 std::to_string(step.position) + ": the capacity is " +
                 std::to_string(state->within.capacity)};
  std::vector<Edge> edges;
  auto add = [&](ExchangeKind kind, int32_t source, int32_t destination,
                 int32_t tensor, int64_t rows, int64_t width) {
    if (rows > 0)
      edges.push_back({kind, source, destination, tensor, rows,
                       source == destination ? 0 : rows * width});
  };
  Position end = step.position + step.rows;
  int64_t wanted = state->plan.clientLast > 0 ? step.rows : step.wanted;
  for (int32_t a : topology.compRanks) {
    add(ExchangeKind::Enter, topology.clientRank, a, 0,
        state->hidden[a].count(step.position, end), bytes.enter);
    add(ExchangeKind::Leave, a, topology.clientRank, 0,
        state->hidden[a].count(end - wanted, end), bytes.leave);
  }
  // The pairs of all masks stand in the same order.
  size_t pairs = state->layers.empty() ? 0 : state->layers[0].pairs.size();
  for (size_t at = 0; at < pairs; ++at) {
    int64_t queries = 0, keys = 0;
    for (const Layers &layers : state->layers) {
      for (const Part &part : layers.pairs[at].queries)
        queries += layers.count * part.count(step);
      for (const Part &part : layers.pairs[at].keys)
        keys += layers.count * part.count(step);
    }
    auto [a, b] = std::pair(state->layers[0].pairs[at].comp,
                            state->layers[0].pairs[at].attn);
    add(ExchangeKind::Up, a, b, 0, queries, bytes.query);
    add(ExchangeKind::Up, a, b, 1, keys, bytes.key);
    add(ExchangeKind::Up, a, b, 2, keys, bytes.value);
    add(ExchangeKind::Down, b, a, 0, queries, bytes.partial);
    add(ExchangeKind::Down, b, a, 1, queries, bytes.lse);
  }
  std::sort(edges.begin(), edges.end(), [](const Edge &x, const Edge &y) {
    auto key = [](const Edge &edge) {
      return std::tuple(edge.exchange, edge.source, edge.destination,
                        edge.tensor);
    };
    return key(x) < key(y);
  });
  return edges;
}

RowBytes rowBytes(const RowWidths &widths, const RowTypes &types) {
  int64_t activation = elementBytes(types.activations);
  return {widths.enter * activation,
          widths.leave * activation,
          widths.query * activation,
          widths.key * activation,
          widths.key * activation,
          widths.query * elementBytes(types.partials),
          widths.heads * elementBytes(ElementType::F32)};
}

const char *exchangeName(ExchangeKind kind) {
  switch (kind) {
  case ExchangeKind::Enter:
    return "enter";
  case ExchangeKind::Up:
    return "up";
  case ExchangeKind::Down:
    return "down";
  case ExchangeKind::Leave:
    return "leave";
  }
  return "";
}

int64_t totalBytes(const std::vector<Edge> &edges) {
  int64_t bytes = 0;
  for (const Edge &edge : edges)
    bytes += edge.bytes;
  return bytes;
}

} // namespace rshard::tokenset
