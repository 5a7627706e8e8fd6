#include "LocalTransportState.h"
#include "rshard/runtime/ABI.h"

#include <algorithm>

namespace rshard::runtime {

thread_local LocalTransport::State *activeTransport = nullptr;
thread_local LocalTransport::Rank *currentRank = nullptr;

LocalTransport::Rank *LocalTransport::State::nextReady(int32_t after) {
  for (int32_t i = 1; i <= size(); ++i) {
    Rank &rank = *ranks[static_cast<size_t>((after + i) % size())];
    if (rank.phase == Phase::Ready)
      return &rank;
  }
  return nullptr;
}

/// Lets others run until this rank is ready again.
void LocalTransport::State::yieldFrom(Rank &rank) {
  Rank *next = nextReady(rank.number);
  if (next == &rank)
    return;
  currentRank = next;
  Fiber::switchTo(rank.fiber, next ? next->fiber : main);
  currentRank = &rank;
}

/// Ends the step of all ranks. No frame on any of their stacks owns anything,
/// so they need not be unwound.
void LocalTransport::State::abandon(Rank &rank) {
  currentRank = nullptr;
  Fiber::leave(rank.fiber, main);
}

LocalTransport::LocalTransport(Device &device)
    : state(std::make_unique<State>(device)) {}
LocalTransport::~LocalTransport() = default;

Expected<std::unique_ptr<LocalTransport>>
LocalTransport::create(Device &device, int32_t ranks,
                       std::vector<ExchangeSpec> exchanges) {
  if (ranks < 1)
    return Error{"a transport needs at least one rank"};
  std::unique_ptr<LocalTransport> out(new LocalTransport(device));
  State &state = *out->state;
  size_t tensors = 0;
  for (const ExchangeSpec &exchange : exchanges) {
    state.firstTensor.push_back(tensors);
    tensors += exchange.tensors.size();
  }
  state.exchanges = std::move(exchanges);
  size_t count = static_cast<size_t>(ranks);
  state.channels.resize(count * count);
  state.traffic.resize(std::max<size_t>(tensors, 1) * count * count);
  for (int32_t i = 0; i != ranks; ++i) {
    auto &rank = *state.ranks.emplace_back(std::make_unique<Rank>());
    rank.transport = &state;
    rank.number = i;
    if (Expected<void> stack = rank.fiber.allocate(RSHARD_STACK_BYTES); !stack)
      return stack.error();
  }
  return out;
}

void LocalTransport::setRoutes(int32_t rank,
                               std::vector<ExchangeRoute> routes) {
  state->ranks[static_cast<size_t>(rank)]->routes = std::move(routes);
}

void *LocalTransport::communicator(int32_t rank) {
  return state->ranks[static_cast<size_t>(rank)].get();
}

Expected<void> LocalTransport::run(void (*program)(void *, int32_t),
                                   void *ctx) {
  if (activeTransport)
    return Error{"a step was started from inside a step"};
  state->program = program;
  state->context = ctx;
  state->error.clear();
  std::fill(state->channels.begin(), state->channels.end(), Channel());
  for (auto &rank : state->ranks) {
    rank->phase = Phase::Ready;
    rank->depth = 0;
    rank->exchange = rank->layer = none;
    rank->pending = 0;
    rank->group.clear();
    rank->fiber.start(
        [](void *argument) {
          auto &self = *static_cast<Rank *>(argument);
          State &transport = *self.transport;
          transport.program(transport.context, self.number);
          bool complete = transport.attempt([&] {
            if (self.depth != 0)
              return transport.refuse(self, "the step ends inside a group");
            return transport.leaveExchange(self);
          });
          if (!complete)
            transport.abandon(self);
          self.phase = Phase::Done;
          Rank *next = transport.nextReady(self.number);
          currentRank = next;
          Fiber::leave(self.fiber, next ? next->fiber : transport.main);
        },
        rank.get());
  }
  activeTransport = state.get();
  currentRank = state->ranks.front().get();
  Fiber::switchTo(state->main, currentRank->fiber);
  activeTransport = nullptr;
  currentRank = nullptr;
  if (state->error.empty() &&
      std::any_of(state->ranks.begin(), state->ranks.end(),
                  [](const auto &rank) { return rank->phase != Phase::Done; }))
    state->error = state->deadlock();
  if (!state->error.empty())
    return Error{state->error};
  return {};
}

std::vector<EdgeCount> LocalTransport::counts() const {
  std::vector<EdgeCount> out;
  int32_t ranks = state->size();
  for (size_t exchange = 0;
       exchange != std::max<size_t>(state->exchanges.size(), 1); ++exchange) {
    size_t first = state->exchanges.empty() ? 0 : state->firstTensor[exchange];
    size_t tensors = state->exchanges.empty()
                         ? 1
                         : state->exchanges[exchange].tensors.size();
    for (int32_t source = 0; source != ranks; ++source)
      for (int32_t destination = 0; destination != ranks; ++destination)
        for (size_t tensor = 0; tensor != tensors; ++tensor) {
          const Traffic &edge =
              state->traffic[((first + tensor) * static_cast<size_t>(ranks) +
                              static_cast<size_t>(source)) *
                                 static_cast<size_t>(ranks) +
                             static_cast<size_t>(destination)];
          if (edge.messages != 0)
            out.push_back({static_cast<int32_t>(exchange),
                           static_cast<int32_t>(tensor), source, destination,
                           edge.sent, edge.received, edge.messages});
        }
  }
  return out;
}

void LocalTransport::setHook(void (*hook)(void *, int32_t, int32_t),
                             void *ctx) {
  state->hook = hook;
  state->hookContext = ctx;
}
void LocalTransport::resetCounts() {
  std::fill(state->traffic.begin(), state->traffic.end(), Traffic());
}
void LocalTransport::setReceiveLog(bool on) { state->logging = on; }
const std::vector<ReceiveRecord> &LocalTransport::receiveLog() const {
  return state->log;
}
void LocalTransport::clearReceiveLog() { state->log.clear(); }
void LocalTransport::setMuted(std::vector<MutedEdge> edges) {
  state->muted = std::move(edges);
}
} // namespace rshard::runtime
