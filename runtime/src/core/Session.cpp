#include "rshard/runtime/Session.h"
#include "Device.h"
#include "LocalTransport.h"
#include "RankArena.h"
#include "rshard/tokenset/Plan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>

namespace rshard::runtime {
using tokenset::IndexList;
using tokenset::Plan;
using tokenset::Routes;

namespace {

/// The tables beside those of Routes. All are empty where the client does not
/// live.
struct ClientTables {
  IndexList token;    ///< client.token: the step's tokens
  IndexList identity; ///< client.identity: 0, 1, ... for the step's rows
  IndexList cached; ///< client.cached: positions that the client's layers hold
                    ///< after the append
  IndexList wantedRow; ///< wanted.row: rows whose results the caller wants,
                       ///< among those that came back

  void reserve(int64_t rows, int64_t capacity) {
    for (IndexList *list : {&token, &identity, &wantedRow})
      list->reserve(static_cast<size_t>(rows));
    cached.reserve(static_cast<size_t>(capacity));
  }
  const IndexList *find(std::string_view name) const {
    return name == "client.token"      ? &token
           : name == "client.identity" ? &identity
           : name == "client.cached"   ? &cached
           : name == "wanted.row"      ? &wantedRow
                                       : nullptr;
  }
  void fill(std::span<const int32_t> tokens, int64_t position, int64_t returned,
            int64_t wanted) {
    token.assign(tokens.begin(), tokens.end());
    count(identity, 0, static_cast<int64_t>(tokens.size()));
    count(cached, 0, position + static_cast<int64_t>(tokens.size()));
    count(wantedRow, returned - wanted, returned);
  }

private:
  static void count(IndexList &list, int64_t begin, int64_t end) {
    list.resize(static_cast<size_t>(end - begin));
    std::iota(list.begin(), list.end(), static_cast<int32_t>(begin));
  }
};

struct RankData {
  explicit RankData(Routes routes) : routes(std::move(routes)) {}
  Routes routes;
  RowCounts largest{};
  RankArena arena;
  ClientTables client;
  rshard_frame frame{};
};

/// C4: angles by global position, in double. Row p: cosines, then sines.
std::vector<float> ropeRows(const RopeSpec &spec, int64_t rows) {
  size_t half = spec.inverseFrequencies.size();
  std::vector<float> out(static_cast<size_t>(rows) * 2 * half);
  for (int64_t p = 0; p != rows; ++p)
    for (size_t i = 0; i != half; ++i) {
      float *row = out.data() + static_cast<size_t>(p) * 2 * half;
      double angle = static_cast<double>(p) * spec.inverseFrequencies[i];
      row[i] = static_cast<float>(std::cos(angle) * spec.scale);
      row[half + i] = static_cast<float>(std::sin(angle) * spec.scale);
    }
  return out;
}

int64_t bufferIndex(const Manifest &manifest, std::string_view name) {
  for (size_t i = 0; i != manifest.buffers.size(); ++i)
    if (manifest.buffers[i].name == name)
      return static_cast<int64_t>(i);
  return -1;
}

} // namespace

struct Session::State {
  Manifest manifest;
  SessionOptions options;
  Plan plan;
  std::shared_ptr<const HostCode> code;
  std::unique_ptr<Device> device; ///< outlives what lies in its memory
  std::shared_ptr<const PackedWeights> weights;
  std::unique_ptr<LocalTransport> transport;
  std::vector<std::unique_ptr<RankData>> ranks;
  /// The tables of all ranks, each in the manifest's order: what fills them,
  /// and where host code and kernels read them.
  std::vector<const IndexList *> tableSources;
  std::vector<rshard_table> tables;
  int32_t clientRank = 0;
  size_t resultBuffer = 0;
  int64_t resultWidth = 0;
  std::vector<float> results; ///< of a prompt that was cut
  int64_t length = 0;

  Expected<void> lookUpResult();
  Expected<void> layOutRank(int32_t rank);
  Expected<void> readyRank(RankData &data);
  void poisonPools(int32_t rank, int32_t exchange);
  std::vector<ExchangeRoute> routesOf(const RankData &rank,
                                      std::string &missing) const;
  Expected<void> check(std::span<const int32_t> tokens, int64_t position,
                       Want want) const;
  Expected<const float *> runPart(std::span<const int32_t> tokens,
                                  int64_t position, int64_t wanted);
};

Expected<void> Session::State::lookUpResult() {
  int64_t at = bufferIndex(manifest, "result");
  if (at < 0)
    return Error{"artifact: no buffer \"result\""};
  const BufferSpec &buffer = manifest.buffers[static_cast<size_t>(at)];
  if (buffer.type != ElementType::F32 || buffer.rows != RowClass::Wanted)
    return Error{"artifact: buffer \"result\" has " +
                 std::string(tokenset::elementTypeName(buffer.type)) +
                 " rows of class " + std::string(rowClassName(buffer.rows)) +
                 " vs f32 rows of class wanted"};
  resultWidth = buffer.width;
  resultBuffer = static_cast<size_t>(at);
  return {};
}

std::vector<ExchangeRoute>
Session::State::routesOf(const RankData &rank, std::string &missing) const {
  auto find = [&](const std::string &name) {
    const IndexList *table = rank.routes.tables().find(name);
    if (!table && missing.empty())
      missing = name;
    return table;
  };
  std::vector<ExchangeRoute> routes;
  for (const ExchangeSpec &exchange : manifest.exchanges) {
    ExchangeRoute &route = routes.emplace_back();
    route.transfer = find(exchange.transfer);
    for (const ExchangeTensor &tensor : exchange.tensors)
      route.tensors.push_back({find(tensor.pack), find(tensor.positions)});
  }
  return routes;
}

/// A rank's routes and the places of its buffers, without memory.
Expected<void> Session::State::layOutRank(int32_t rank) {
  Expected<Routes> routes = Routes::create(
      plan, manifest.model.masks, options.capacity, options.largestStep, rank);
  if (!routes)
    return routes.error();
  auto data = std::make_unique<RankData>(std::move(*routes));
  RankShape shape;
  shape.capacity = options.capacity;
  shape.allRows = options.allRows;
  shape.clientLayers = int64_t(plan.clientFirst) + plan.clientLast;
  shape.shardedLayers = manifest.model.layers - shape.clientLayers;
  data->largest = largestRows(manifest, data->routes, shape);
  Expected<RankArena> arena = RankArena::create(manifest, data->largest);
  if (!arena)
    return arena.error();
  data->arena = std::move(*arena);
  ranks.push_back(std::move(data));
  return {};
}

/// Its memory, and what stands in the frame for the whole session.
Expected<void> Session::State::readyRank(RankData &data) {
  int32_t rank = data.routes.rank();
  if (Expected<void> allocated = data.arena.allocate(*device); !allocated)
    return allocated;
  if (options.poison)
    data.arena.poison(*device, true);
  for (const RopeSpec &spec : manifest.rope) {
    int64_t at = bufferIndex(manifest, spec.name);
    if (at < 0)
      return Error{"artifact: no buffer \"" + spec.name + "\""};
    std::vector<float> rows = ropeRows(spec, options.capacity);
    if (Expected<void> written =
            device->write(data.arena.buffers()[static_cast<size_t>(at)].data,
                          std::as_bytes(std::span(rows)));
        !written)
      return written;
  }

  if (rank == clientRank)
    data.client.reserve(options.largestStep, options.capacity);
  for (const std::string &name : manifest.tables) {
    const IndexList *table = data.client.find(name);
    if (!table)
      table = data.routes.want(name);
    if (!table)
      return Error{"artifact: wants the table \"" + name +
                   "\", which this runtime does not compute"};
    tableSources.push_back(table);
  }
  std::string missing;
  transport->setRoutes(rank, routesOf(data, missing));
  if (!missing.empty())
    return Error{"artifact: an exchange uses the table \"" + missing +
                 "\", which this runtime does not compute"};
  data.frame.buffers = data.arena.buffers().data();
  data.frame.weights = weights->slots();
  data.frame.comm = transport->communicator(rank);
  data.frame.stream = device->stream();
  data.frame.session = device.get();
  return {};
}

/// Poison mode: what was received before must not stand in for what is not
/// received now.
void Session::State::poisonPools(int32_t rank, int32_t exchange) {
  const RankData &data = *ranks[static_cast<size_t>(rank)];
  for (const ExchangeTensor &tensor :
       manifest.exchanges[static_cast<size_t>(exchange)].tensors) {
    int64_t at = bufferIndex(manifest, "pool." + tensor.name);
    if (at < 0)
      continue;
    const BufferSpec &buffer = manifest.buffers[static_cast<size_t>(at)];
    int64_t own = static_cast<int64_t>(
        data.routes.tables().find(tensor.positions)->size());
    int64_t all = data.largest[static_cast<size_t>(buffer.rows)];
    int64_t rowBytes = buffer.width * tokenset::elementBytes(buffer.type);
    auto *begin = static_cast<std::byte *>(
        data.arena.buffers()[static_cast<size_t>(at)].data);
    if (own < all)
      device->poison(begin + own * rowBytes,
                     static_cast<uint64_t>((all - own) * rowBytes));
  }
}

Session::Session(std::unique_ptr<State> state) : state(std::move(state)) {}
Session::Session(Session &&) noexcept = default;
Session &Session::operator=(Session &&) noexcept = default;
Session::~Session() = default;

Expected<Session> Session::create(const Artifact &artifact,
                                  const Weights &weights,
                                  SessionOptions options) {
  auto state = std::make_unique<State>();
  state->manifest = artifact.manifest();
  const ModelInfo &model = state->manifest.model;
  std::string content;
  if (!weights.isRandom() && !state->manifest.hashes.content.empty()) {
    Expected<std::string> hash = weights.content(options.progress);
    if (!hash)
      return hash.error();
    content = std::move(*hash);
  }
  if (!weights.isRandom())
    if (Expected<void> same = artifact.checkModel(weights.identity(), content);
        !same)
      return same.error();
  Expected<Plan> plan = tokenset::parsePlan(state->manifest.plan);
  if (!plan)
    return Error{artifact.path().string() + ": plan: " + plan.error().message};
  state->plan = std::move(*plan);
  if (int64_t clientLayers =
          int64_t(state->plan.clientFirst) + state->plan.clientLast;
      clientLayers >= model.layers)
    return Error{artifact.path().string() + ": plan gives " +
                 std::to_string(clientLayers) + " of " +
                 std::to_string(model.layers) +
                 " layers to the client, at least one must be sharded"};

  int64_t most = std::min<int64_t>(model.maxPositions, state->plan.limit());
  if (options.capacity == 0)
    options.capacity = most;
  if (options.capacity < 1 || options.capacity > most)
    return Error{"capacity of " + std::to_string(options.capacity) +
                 " positions, the model and plan allow 1 to " +
                 std::to_string(most)};
  if (options.largestStep == 0)
    options.largestStep = model.bidirectional
                              ? options.capacity
                              : std::min<int64_t>(options.capacity, 512);
  if (options.largestStep < 1 || options.largestStep > options.capacity)
    return Error{"largest step of " + std::to_string(options.largestStep) +
                 " rows, 1 to the capacity of " +
                 std::to_string(options.capacity) + " is allowed"};
  state->options = std::move(options);
  if (Expected<void> result = state->lookUpResult(); !result)
    return Error{artifact.path().string() + ": " + result.error().message};

  auto refuse = [&](const Error &error) {
    return Error{artifact.path().string() + ": " + error.message};
  };
  Expected<std::unique_ptr<Device>> device =
      Device::create(artifact, state->options.device);
  if (!device)
    return refuse(device.error());
  state->device = std::move(*device);
  uint64_t bytes = 0;
  for (int32_t rank = 0; rank != state->plan.rankCount(); ++rank) {
    if (Expected<void> placed = state->layOutRank(rank); !placed)
      return refuse(placed.error());
    bytes += state->ranks.back()->arena.bytes();
  }
  if (Expected<void> fits =
          state->device->fits(weights, state->manifest, bytes);
      !fits)
    return refuse(fits.error());
  Expected<std::shared_ptr<const PackedWeights>> packed =
      state->device->pack(weights, state->manifest, state->options.progress);
  if (!packed)
    return packed.error();
  state->weights = std::move(*packed);
  Expected<std::unique_ptr<LocalTransport>> transport = LocalTransport::create(
      *state->device, state->plan.rankCount(), state->manifest.exchanges);
  if (!transport)
    return transport.error();
  state->transport = std::move(*transport);
  state->transport->setReceiveLog(state->options.receiveLog);
  state->transport->setMuted(state->options.muted);
  state->clientRank =
      state->plan.ranks[static_cast<size_t>(Plan::clientNode())];
  for (auto &rank : state->ranks)
    if (Expected<void> ready = state->readyRank(*rank); !ready)
      return refuse(ready.error());
  state->tables.resize(state->tableSources.size());
  for (size_t i = 0; i != state->ranks.size(); ++i)
    state->ranks[i]->frame.tables =
        state->tables.data() + i * state->manifest.tables.size();
  if (state->options.poison)
    state->transport->setHook(
        [](void *ctx, int32_t rank, int32_t exchange) {
          static_cast<State *>(ctx)->poisonPools(rank, exchange);
        },
        state.get());
  // Last: everything that can be wrong without running anything has been
  // checked.
  Expected<std::shared_ptr<const HostCode>> code =
      HostCode::load(artifact.host());
  if (!code)
    return Error{artifact.path().string() + ": " + code.error().message};
  state->code = std::move(*code);
  return Session(std::move(state));
}

Expected<void> Session::State::check(std::span<const int32_t> tokens,
                                     int64_t position, Want want) const {
  int64_t count = static_cast<int64_t>(tokens.size());
  if (count == 0)
    return Error{"a step needs at least one token"};
  if (manifest.model.bidirectional && position != 0)
    return Error{
        "a bidirectional model takes one step from position 0, not from " +
        std::to_string(position)};
  if (position < 0 || position > length)
    return Error{"step at position " + std::to_string(position) +
                 ", the session holds " + std::to_string(length) +
                 " positions"};
  if (count > options.capacity - position)
    return Error{"positions up to " + std::to_string(position + count) +
                 " are beyond the capacity of " +
                 std::to_string(options.capacity)};
  if (manifest.model.bidirectional && count > options.largestStep)
    return Error{std::to_string(count) +
                 " tokens in one step, the largest step has " +
                 std::to_string(options.largestStep) +
                 ", and a bidirectional model cannot be cut"};
  if (want == Want::All && !options.allRows)
    return Error{
        "the session was created without room for the results of all rows"};
  for (size_t i = 0; i != tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= manifest.model.vocabulary)
      return Error{"token " + std::to_string(i) + " is " +
                   std::to_string(tokens[i]) + ", the vocabulary has " +
                   std::to_string(manifest.model.vocabulary)};
  return {};
}

/// One step of at most the largest size; the results of its last `wanted` rows.
Expected<const float *> Session::State::runPart(std::span<const int32_t> tokens,
                                                int64_t position,
                                                int64_t wanted) {
  tokenset::Step step{position, static_cast<int64_t>(tokens.size()), wanted};
  // A step that does not end, because of an exception or an error, never was.
  struct Unfinished {
    ~Unfinished() {
      if (finished)
        return;
      for (auto &rank : state.ranks)
        rank->routes.truncate(position);
      state.length = std::min(state.length, position);
    }
    State &state;
    int64_t position;
    bool finished = false;
  } unfinished{*this, position};
  device->begin(step.rows);
  for (auto &rank : ranks) {
    if (Expected<void> filled = rank->routes.fill(step); !filled)
      return filled.error();
    if (rank->routes.rank() == clientRank)
      rank->client.fill(
          tokens, position,
          static_cast<int64_t>(rank->routes.tables().leavePosition.size()),
          wanted);
    rank->arena.setRows(manifest,
                        stepRows(rank->routes, wanted, rank->largest));
    if (options.poison)
      rank->arena.poison(*device, false);
  }
  device->show(tableSources, tables);
  Expected<void> ran = transport->run(
      [](void *ctx, int32_t rank) {
        auto &self = *static_cast<State *>(ctx);
        self.code->step()(&self.ranks[static_cast<size_t>(rank)]->frame);
      },
      this);
  const void *results = nullptr;
  if (ran) {
    results = device->fetch(ranks[static_cast<size_t>(clientRank)]
                                ->frame.buffers[resultBuffer]
                                .data,
                            static_cast<uint64_t>(wanted * resultWidth) *
                                sizeof(float));
  }
  // Whatever was started has ended before anything is reported or done again.
  Expected<void> finished = device->finish();
  if (ran)
    ran = finished;
  if (!ran)
    return ran.error();
  unfinished.finished = true;
  length = position + step.rows;
  return static_cast<const float *>(results);
}

Expected<Rows> Session::step(std::span<const int32_t> tokens, int64_t position,
                             Want want) {
  State &s = *state;
  if (Expected<void> valid = s.check(tokens, position, want); !valid)
    return valid.error();
  int64_t count = static_cast<int64_t>(tokens.size()),
          largest = s.options.largestStep;
  Rows out;
  out.width = s.resultWidth;
  out.rows = want == Want::All ? count : want == Want::Last ? 1 : 0;
  bool gather = want == Want::All && count > largest;
  if (gather)
    s.results.resize(static_cast<size_t>(count * out.width));
  for (int64_t done = 0; done < count; done += largest) {
    int64_t rows = std::min(largest, count - done);
    bool last = done + rows == count;
    int64_t wanted = want == Want::All            ? rows
                     : want == Want::Last && last ? 1
                                                  : 0;
    Expected<const float *> part = s.runPart(
        tokens.subspan(static_cast<size_t>(done), static_cast<size_t>(rows)),
        position + done, wanted);
    if (!part)
      return Error{"step at position " + std::to_string(position + done) +
                   ": " + part.error().message};
    out.data = *part;
    if (gather)
      std::memcpy(s.results.data() + done * out.width, *part,
                  static_cast<size_t>(rows * out.width) * sizeof(float));
  }
  if (gather)
    out.data = s.results.data();
  return out;
}

int64_t Session::length() const { return state->length; }
int64_t Session::resultWidth() const { return state->resultWidth; }
int64_t Session::capacity() const { return state->options.capacity; }
int64_t Session::largestStep() const { return state->options.largestStep; }
const Manifest &Session::manifest() const { return state->manifest; }
int32_t Session::ranks() const {
  return static_cast<int32_t>(state->ranks.size());
}
uint64_t Session::arenaBytes() const {
  uint64_t bytes = 0;
  for (auto &rank : state->ranks)
    bytes += rank->arena.bytes();
  return bytes;
}
uint64_t Session::packedBytes() const { return state->weights->packedBytes(); }
std::vector<EdgeCount> Session::counts() const {
  return state->transport->counts();
}
void Session::resetCounts() { state->transport->resetCounts(); }
const std::vector<ReceiveRecord> &Session::receiveLog() const {
  return state->transport->receiveLog();
}
void Session::clearReceiveLog() { state->transport->clearReceiveLog(); }
void Session::setMuted(std::vector<MutedEdge> edges) {
  state->transport->setMuted(std::move(edges));
}

} // namespace rshard::runtime
