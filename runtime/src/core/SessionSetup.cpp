// What happens once, before the first step: checks, memory, weights, code.

#include "SessionState.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <string>

namespace rshard::runtime {

namespace {

/// C4: angles of positions [begin, end), in double. Row by row: cosines, then
/// sines.
std::vector<float> ropeRows(const RopeSpec &spec, int64_t begin, int64_t end) {
  size_t half = spec.inverseFrequencies.size();
  std::vector<float> out(static_cast<size_t>(end - begin) * 2 * half);
  for (int64_t p = begin; p != end; ++p)
    for (size_t i = 0; i != half; ++i) {
      float *row = out.data() + static_cast<size_t>(p - begin) * 2 * half;
      double angle = static_cast<double>(p) * spec.inverseFrequencies[i];
      row[i] = static_cast<float>(std::cos(angle) * spec.scale);
      row[half + i] = static_cast<float>(std::sin(angle) * spec.scale);
    }
  return out;
}

/// Rows of the largest step if nobody says: a GPU is slow on few.
int64_t usualStep(const Manifest &manifest) {
  return manifest.target.name == "cuda" ? 4096 : 512;
}

} // namespace

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

/// Attention-only: the client's part of the rows that enter.
Expected<void> Session::State::lookUpEnter() {
  int64_t at = bufferIndex(manifest, "pool.enter");
  if (at < 0)
    return Error{"artifact: no buffer \"pool.enter\""};
  const BufferSpec &buffer = manifest.buffers[static_cast<size_t>(at)];
  if (int64_t width = manifest.model.enterWidth();
      buffer.width != width || buffer.rows != RowClass::PoolEnter ||
      buffer.type != plan.types.activations)
    return Error{
        "artifact: buffer \"pool.enter\" has " +
        std::string(tokenset::elementTypeName(buffer.type)) + " rows of " +
        std::to_string(buffer.width) + " and class " +
        std::string(rowClassName(buffer.rows)) + " vs " +
        std::string(tokenset::elementTypeName(plan.types.activations)) +
        " rows of " + std::to_string(width) + " and class pool_enter"};
  enterBuffer = static_cast<size_t>(at);
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

/// A rank's routes and the places of its buffers, without their memory.
Expected<void> Session::State::layOutRank(int32_t rank) {
  Expected<Routes> routes = Routes::create(
      plan, manifest.model.masks, options.capacity, options.largestStep, rank);
  if (!routes)
    return routes.error();
  auto data = std::make_unique<RankData>(std::move(*routes));
  Expected<RowCounts> largest = largestOf(rank);
  if (!largest)
    return largest.error();
  data->largest = *largest;
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
    auto *to = static_cast<std::byte *>(
        data.arena.buffers()[static_cast<size_t>(at)].data);
    // In parts: memory for all of it twice need not be there.
    constexpr int64_t part = 4096;
    for (int64_t begin = 0; begin < options.capacity; begin += part) {
      std::vector<float> rows =
          ropeRows(spec, begin, std::min(begin + part, options.capacity));
      std::span<const std::byte> bytes = std::as_bytes(std::span(rows));
      if (Expected<void> written = device->write(to, bytes); !written)
        return written;
      to += bytes.size();
    }
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

Expected<Session> Session::create(const Artifact &artifact,
                                  SessionOptions options) {
  const Manifest &manifest = artifact.manifest();
  if (!manifest.weights.empty())
    return Error{artifact.name() + ": the program takes " +
                 std::to_string(manifest.weightSlots()) +
                 " weights, none were given"};
  return create(artifact, Weights::none(), std::move(options));
}

Expected<Session> Session::create(const Artifact &artifact,
                                  const Weights &weights,
                                  SessionOptions options) {
  try {
    return State::create(artifact, weights, std::move(options));
  } catch (const std::bad_alloc &) {
    return Error{"out of memory"};
  }
}

Expected<Session> Session::State::create(const Artifact &artifact,
                                         const Weights &weights,
                                         SessionOptions options) {
  auto state = std::make_unique<State>();
  state->manifest = artifact.manifest();
  const ModelInfo &model = state->manifest.model;
  std::string content;
  if (weights.areOfModel() && !state->manifest.hashes.content.empty()) {
    Expected<std::string> hash = weights.content(options.progress);
    if (!hash)
      return hash.error();
    content = std::move(*hash);
  }
  if (weights.areOfModel())
    if (Expected<void> same = artifact.checkModel(weights.identity(), content);
        !same)
      return same.error();
  Expected<Plan> plan = tokenset::parsePlan(state->manifest.plan);
  if (!plan)
    return Error{artifact.name() + ": " + plan.error().message};
  state->plan = std::move(*plan);
  if (int64_t clientLayers =
          int64_t(state->plan.clientFirst) + state->plan.clientLast;
      clientLayers >= model.layers)
    return Error{artifact.name() + ": plan gives " +
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
    options.largestStep =
        model.bidirectional
            ? options.capacity
            : std::min(options.capacity, usualStep(state->manifest));
  if (options.largestStep < 1 || options.largestStep > options.capacity)
    return Error{"largest step of " + std::to_string(options.largestStep) +
                 " rows, 1 to the capacity of " +
                 std::to_string(options.capacity) + " is allowed"};
  options.allRows |= model.attentionOnly;
  state->options = std::move(options);
  if (Expected<void> result = state->lookUpResult(); !result)
    return Error{artifact.name() + ": " + result.error().message};
  if (model.attentionOnly)
    if (Expected<void> enter = state->lookUpEnter(); !enter)
      return Error{artifact.name() + ": " + enter.error().message};

  auto refuse = [&](const Error &error) {
    return Error{artifact.name() + ": " + error.message};
  };
  Expected<std::unique_ptr<Device>> device =
      Device::create(artifact, state->options.device);
  if (!device)
    return refuse(device.error());
  state->device = std::move(*device);
  if (Expected<void> reached =
          state->device->reaches(state->manifest, state->options.capacity);
      !reached)
    return refuse(reached.error());
  if (Expected<void> fits =
          state->fits(weights, *state->device, MemoryUse::AtFirst);
      !fits)
    return refuse({"a session of " + std::to_string(state->options.capacity) +
                   " positions: " + fits.error().message +
                   state->whatFits(weights)});
  for (int32_t rank = 0; rank != state->plan.rankCount(); ++rank)
    if (Expected<void> placed = state->layOutRank(rank); !placed)
      return refuse(placed.error());
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
    return Error{artifact.name() + ": " + code.error().message};
  state->code = std::move(*code);
  return Session(std::move(state));
}

} // namespace rshard::runtime
