#include "LocalTransport.h"
#include "rshard/runtime/ABI.h"

#include <algorithm>
#include <cstring>

namespace rshard::runtime {

namespace {

constexpr int32_t none = -1;
/// Enough for generated code, whose large arrays lie in the arena; pages are
/// taken when touched.
constexpr size_t stackBytes = size_t(1) << 20;
/// NCCL's results.
enum { success = 0, invalidUsage = 5 };
constexpr int transferFields = 5;

size_t typeSize(int type) {
  switch (type) {
  case RSHARD_NCCL_INT32:
  case RSHARD_NCCL_FLOAT32:
    return 4;
  case RSHARD_NCCL_BFLOAT16:
    return 2;
  default:
    return 0;
  }
}

/// One send or receive of a group.
struct Message {
  bool isSend = false;
  int type = 0;
  int32_t rank = none, peer = none;
  int32_t exchange = none, layer = none, tensor = 0;
  int32_t begin = 0, rows = none; ///< of the route table's entry
  size_t count = 0;               ///< elements
  std::byte *data = nullptr;
  Message *next = nullptr; ///< of the same direction between the same ranks

  size_t bytes() const { return count * typeSize(type); }
};

/// Messages from one rank to another that wait for their other end: sends or
/// receives, never both.
struct Channel {
  Message *first = nullptr, *last = nullptr;
};

struct Traffic {
  uint64_t sent = 0, received = 0, messages = 0;
};

enum class Phase : uint8_t { Ready, Blocked, Done };

} // namespace

struct LocalTransport::Rank {
  State *transport = nullptr;
  int32_t number = 0;
  Phase phase = Phase::Done;
  int depth = 0;                         ///< of groups
  int32_t exchange = none, layer = none; ///< as announced
  size_t nextSend = 0, nextReceive = 0;  ///< entries of the transfer table
  size_t used = 0;                       ///< entries that were sent or received
  size_t pending = 0; ///< messages of the group without their other end
  std::vector<Message> group;
  std::vector<ExchangeRoute> routes;
  Fiber fiber;
};

struct LocalTransport::State {
  std::vector<ExchangeSpec> exchanges;
  std::vector<std::unique_ptr<Rank>> ranks;
  std::vector<Channel> channels;   ///< [source][destination]
  std::vector<size_t> firstTensor; ///< per exchange, into traffic
  std::vector<Traffic> traffic; ///< [exchange and tensor][source][destination]
  std::vector<ReceiveRecord> log;
  bool logging = false;
  std::vector<MutedEdge> muted;
  Fiber main;
  std::string error;
  void (*program)(void *, int32_t) = nullptr;
  void *context = nullptr;
  void (*hook)(void *, int32_t, int32_t) = nullptr;
  void *hookContext = nullptr;

  int32_t size() const { return static_cast<int32_t>(ranks.size()); }
  Channel &channel(int32_t source, int32_t destination) {
    return channels[static_cast<size_t>(source) * ranks.size() +
                    static_cast<size_t>(destination)];
  }
  Traffic &trafficOf(const Message &send) {
    size_t tensor = exchanges.empty()
                        ? 0
                        : firstTensor[static_cast<size_t>(send.exchange)] +
                              static_cast<size_t>(send.tensor);
    return traffic[(tensor * ranks.size() + static_cast<size_t>(send.rank)) *
                       ranks.size() +
                   static_cast<size_t>(send.peer)];
  }

  std::string place(int32_t exchange, int32_t layer) const;
  std::string describe(const Message &message) const;
  Rank *nextReady(int32_t after);
  void yieldFrom(Rank &rank);
  /// Keeps the error; always false.
  bool refuse(std::string message);
  bool refuse(const Rank &rank, const std::string &what);
  [[noreturn]] void abandon(Rank &rank);
  // False: an error was kept, and the caller has to abandon the step once it
  // holds nothing.
  bool enter(Rank &rank, int32_t exchange, int32_t layer);
  bool leaveExchange(Rank &rank);
  bool record(Rank &rank, bool isSend, void *data, size_t count, int type,
              int32_t peer);
  bool route(Rank &rank, Message &message);
  bool post(Message &message);
  bool match(Message &send, Message &receive);
  bool finishGroup(Rank &rank);
  std::string deadlock() const;
};

namespace {
thread_local LocalTransport::State *active = nullptr;
thread_local LocalTransport::Rank *current = nullptr;
} // namespace

std::string LocalTransport::State::place(int32_t exchange,
                                         int32_t layer) const {
  if (exchange == none)
    return "no exchange";
  std::string text =
      "exchange " + (exchange < static_cast<int32_t>(exchanges.size())
                         ? exchanges[static_cast<size_t>(exchange)].name
                         : std::to_string(exchange));
  return layer >= 0 ? text + ", layer " + std::to_string(layer) : text;
}

std::string LocalTransport::State::describe(const Message &message) const {
  std::string text = std::to_string(message.count) + " elements (" +
                     std::to_string(message.bytes()) + " bytes";
  if (message.rows != none)
    text += ", " + std::to_string(message.rows) + " rows of " +
            exchanges[static_cast<size_t>(message.exchange)]
                .tensors[static_cast<size_t>(message.tensor)]
                .name;
  return text + ")";
}

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
  current = next;
  Fiber::switchTo(rank.fiber, next ? next->fiber : main);
  current = &rank;
}

bool LocalTransport::State::refuse(std::string message) {
  error = std::move(message);
  return false;
}

bool LocalTransport::State::refuse(const Rank &rank, const std::string &what) {
  return refuse("rank " + std::to_string(rank.number) + ", " +
                place(rank.exchange, rank.layer) + ": " + what);
}

/// Ends the step of all ranks. No frame on any of their stacks owns anything,
/// so they need not be unwound.
void LocalTransport::State::abandon(Rank &rank) {
  current = nullptr;
  Fiber::leave(rank.fiber, main);
}

/// Every message of the route table must have been sent or received before the
/// next exchange.
bool LocalTransport::State::leaveExchange(Rank &rank) {
  if (exchanges.empty() || rank.exchange == none)
    return true;
  size_t entries =
      rank.routes[static_cast<size_t>(rank.exchange)].transfer->size() /
      transferFields;
  if (rank.used != entries)
    return refuse(rank, std::to_string(rank.used) +
                            " messages, its route table has " +
                            std::to_string(entries));
  return true;
}

bool LocalTransport::State::enter(Rank &rank, int32_t exchange, int32_t layer) {
  if (!leaveExchange(rank))
    return false;
  if (exchange < 0 ||
      (!exchanges.empty() && static_cast<size_t>(exchange) >= exchanges.size()))
    return refuse(rank, "enters exchange " + std::to_string(exchange) + " of " +
                            std::to_string(exchanges.size()));
  rank.exchange = exchange;
  rank.layer = layer;
  rank.nextSend = rank.nextReceive = rank.used = 0;
  if (hook)
    hook(hookContext, rank.number, exchange);
  return true;
}

/// Finds the message's entry in the route table: messages of a direction come
/// in the table's order.
bool LocalTransport::State::route(Rank &rank, Message &message) {
  if (exchanges.empty())
    return true;
  std::string verb = message.isSend ? "sends " : "receives ";
  if (rank.exchange == none)
    return refuse(rank, verb + "outside of any exchange");
  const std::vector<int32_t> &entries =
      *rank.routes[static_cast<size_t>(rank.exchange)].transfer;
  size_t &next = message.isSend ? rank.nextSend : rank.nextReceive;
  while (next < entries.size() / transferFields &&
         (entries[next * transferFields + 1] != 0) != message.isSend)
    ++next;
  if (next >= entries.size() / transferFields)
    return refuse(rank, verb + "more messages than its route table has");
  const int32_t *entry = entries.data() + next++ * transferFields;
  ++rank.used;
  message.tensor = entry[0];
  message.begin = entry[3];
  message.rows = entry[4];
  const auto &tensors = exchanges[static_cast<size_t>(rank.exchange)].tensors;
  if (message.tensor < 0 ||
      static_cast<size_t>(message.tensor) >= tensors.size())
    return refuse(rank, verb + "tensor " + std::to_string(message.tensor) +
                            " of " + std::to_string(tensors.size()));
  const ExchangeTensor &tensor = tensors[static_cast<size_t>(message.tensor)];
  size_t required =
      static_cast<size_t>(message.rows) * static_cast<size_t>(tensor.width);
  if (entry[2] != message.peer || required != message.count)
    return refuse(
        rank, verb + std::to_string(message.count) + " elements with rank " +
                  std::to_string(message.peer) + ", but its route table says " +
                  std::to_string(message.rows) + " rows of " + tensor.name +
                  " (" + std::to_string(required) + " elements) with rank " +
                  std::to_string(entry[2]));
  return true;
}

bool LocalTransport::State::record(Rank &rank, bool isSend, void *data,
                                   size_t count, int type, int32_t peer) {
  Message message;
  message.isSend = isSend;
  message.type = type;
  message.rank = rank.number;
  message.peer = peer;
  message.exchange = rank.exchange;
  message.layer = rank.layer;
  message.count = count;
  message.data = static_cast<std::byte *>(data);
  if (peer < 0 || peer >= size() || typeSize(type) == 0)
    return refuse(rank, "message of type " + std::to_string(type) +
                            " with rank " + std::to_string(peer) + " of " +
                            std::to_string(size()));
  if (!route(rank, message))
    return false;
  rank.group.push_back(message);
  return true;
}

bool LocalTransport::State::match(Message &send, Message &receive) {
  if (send.count != receive.count || send.type != receive.type ||
      send.exchange != receive.exchange || send.layer != receive.layer ||
      send.tensor != receive.tensor)
    return refuse("rank " + std::to_string(send.rank) + " sends " +
                  describe(send) + " to rank " + std::to_string(send.peer) +
                  " in " + place(send.exchange, send.layer) + ", but rank " +
                  std::to_string(receive.rank) + " receives " +
                  describe(receive) + " in " +
                  place(receive.exchange, receive.layer));
  bool mute =
      std::any_of(muted.begin(), muted.end(), [&](const MutedEdge &edge) {
        return edge.exchange == send.exchange && edge.source == send.rank &&
               edge.destination == send.peer &&
               (edge.layer < 0 || edge.layer == send.layer) &&
               (edge.tensor < 0 || edge.tensor == send.tensor);
      });
  if (!mute && send.count != 0)
    std::memcpy(receive.data, send.data, receive.bytes());

  Traffic &edge = trafficOf(send);
  edge.sent += send.bytes();
  edge.received += receive.bytes();
  ++edge.messages;
  if (logging) {
    ReceiveRecord &entry = log.emplace_back(ReceiveRecord{receive.rank,
                                                          send.rank,
                                                          receive.exchange,
                                                          receive.layer,
                                                          receive.tensor,
                                                          {}});
    if (!exchanges.empty()) {
      const auto &source = ranks[static_cast<size_t>(send.rank)]
                               ->routes[static_cast<size_t>(send.exchange)]
                               .tensors[static_cast<size_t>(send.tensor)];
      for (int32_t i = 0; i != send.rows; ++i)
        entry.positions.push_back((*source.positions)[static_cast<size_t>(
            (*source.pack)[static_cast<size_t>(send.begin + i)])]);
    }
  }
  for (const Message *end : {&send, &receive}) {
    Rank &rank = *ranks[static_cast<size_t>(end->rank)];
    if (--rank.pending == 0 && rank.phase == Phase::Blocked)
      rank.phase = Phase::Ready;
  }
  return true;
}

bool LocalTransport::State::post(Message &message) {
  Channel &queue = message.isSend ? channel(message.rank, message.peer)
                                  : channel(message.peer, message.rank);
  if (queue.first && queue.first->isSend != message.isSend) {
    Message &other = *queue.first;
    queue.first = other.next;
    return message.isSend ? match(message, other) : match(other, message);
  }
  (queue.first ? queue.last->next : queue.first) = &message;
  queue.last = &message;
  return true;
}

bool LocalTransport::State::finishGroup(Rank &rank) {
  if (rank.group.empty())
    return true;
  rank.pending = rank.group.size();
  for (Message &message : rank.group)
    if (!post(message))
      return false;
  if (rank.pending != 0) {
    rank.phase = Phase::Blocked;
    yieldFrom(rank);
  }
  rank.group.clear();
  return true;
}

std::string LocalTransport::State::deadlock() const {
  std::string text = "no rank can go on:";
  constexpr int shown = 8;
  int count = 0;
  for (const auto &rank : ranks) {
    if (rank->phase != Phase::Blocked)
      continue;
    if (++count > shown)
      continue;
    // The first message of the group that is still in its queue.
    const Message *waiting = nullptr;
    for (const Message &message : rank->group) {
      const Channel &queue = channels
          [static_cast<size_t>(message.isSend ? message.rank : message.peer) *
               ranks.size() +
           static_cast<size_t>(message.isSend ? message.peer : message.rank)];
      for (const Message *m = queue.first; m && !waiting; m = m->next)
        if (m == &message)
          waiting = m;
    }
    text += (count > 1 ? "; rank " : " rank ") + std::to_string(rank->number);
    if (waiting) {
      Phase other = ranks[static_cast<size_t>(waiting->peer)]->phase;
      text += std::string(waiting->isSend ? " sends " : " waits for ") +
              describe(*waiting) +
              (waiting->isSend ? " to rank " : " from rank ") +
              std::to_string(waiting->peer) +
              (other == Phase::Done ? ", which has ended its step," : "") +
              " in " + place(waiting->exchange, waiting->layer);
    }
  }
  if (count > shown)
    text += "; and " + std::to_string(count - shown) + " more";
  return text;
}

LocalTransport::LocalTransport() : state(std::make_unique<State>()) {}
LocalTransport::~LocalTransport() = default;

Expected<std::unique_ptr<LocalTransport>>
LocalTransport::create(int32_t ranks, std::vector<ExchangeSpec> exchanges) {
  if (ranks < 1)
    return Error{"a transport needs at least one rank"};
  std::unique_ptr<LocalTransport> out(new LocalTransport);
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
    if (Expected<void> stack = rank.fiber.allocate(stackBytes); !stack)
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
  if (active)
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
          if ((self.depth != 0 &&
               !transport.refuse(self, "the step ends inside a group")) ||
              !transport.leaveExchange(self))
            transport.abandon(self);
          self.phase = Phase::Done;
          Rank *next = transport.nextReady(self.number);
          current = next;
          Fiber::leave(self.fiber, next ? next->fiber : transport.main);
        },
        rank.get());
  }
  active = state.get();
  current = state->ranks.front().get();
  Fiber::switchTo(state->main, current->fiber);
  active = nullptr;
  current = nullptr;
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

namespace {

/// One message: inside a group it waits for ncclGroupEnd, outside it is a group
/// of its own.
int message(bool isSend, void *data, size_t count, int type, int peer,
            void *comm) {
  if (!active || !current)
    return invalidUsage;
  LocalTransport::Rank &rank = *current;
  bool ok =
      comm == &rank
          ? active->record(rank, isSend, data, count, type, peer)
          : active->refuse(rank, "uses a communicator that is not its own");
  if (!ok || (rank.depth == 0 && !active->finishGroup(rank)))
    active->abandon(rank);
  return success;
}

} // namespace
} // namespace rshard::runtime

using namespace rshard::runtime;

extern "C" {

void rshard_exchange(rshard_frame *frame, int32_t exchange, int32_t layer) {
  (void)frame;
  if (!active || !current)
    return;
  if (!active->enter(*current, exchange, layer))
    active->abandon(*current);
}

int ncclGroupStart(void) {
  if (!current)
    return invalidUsage;
  ++current->depth;
  return success;
}

int ncclGroupEnd(void) {
  if (!active || !current || current->depth == 0)
    return invalidUsage;
  if (--current->depth == 0 && !active->finishGroup(*current))
    active->abandon(*current);
  return success;
}

int ncclSend(const void *data, size_t count, int datatype, int peer, void *comm,
             void *stream) {
  return message(true, const_cast<void *>(data), count, datatype, peer, comm);
}

int ncclRecv(void *data, size_t count, int datatype, int peer, void *comm,
             void *stream) {
  return message(false, data, count, datatype, peer, comm);
}

} // extern "C"
