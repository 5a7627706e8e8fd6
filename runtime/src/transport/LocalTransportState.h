//===- LocalTransportState.h - The inside of the local transport
//------------===//
#ifndef RSHARD_RUNTIME_SRC_LOCALTRANSPORTSTATE_H
#define RSHARD_RUNTIME_SRC_LOCALTRANSPORTSTATE_H

#include "LocalTransport.h"

#include <exception>

namespace rshard::runtime {

/// What is not known: an exchange, a layer, a number of rows.
constexpr int32_t none = -1;
/// Entries of a transfer table: tensor, is_send, peer, begin, count.
constexpr int transferFields = 5;

/// What NCCL's number of a type stands for; nothing for types that NCCL has and
/// the programs do not use.
std::optional<ElementType> elementTypeOf(int type);

/// One send or receive of a group.
struct Message {
  bool isSend = false;
  ElementType type = ElementType::F32;
  int32_t rank = none, peer = none;
  int32_t exchange = none, layer = none, tensor = 0;
  int32_t begin = 0, rows = none; ///< of the route table's entry
  size_t count = 0;               ///< elements
  std::byte *data = nullptr;
  Message *next = nullptr; ///< of the same direction between the same ranks

  size_t bytes() const {
    return count * static_cast<size_t>(tokenset::elementBytes(type));
  }
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
  explicit State(Device &device) : device(device) {}

  Device &device;
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
  /// What `work` returns. Nothing may be thrown through generated code: an
  /// exception becomes the error.
  template <typename Fn> bool attempt(Fn &&work) {
    try {
      return work();
    } catch (const std::exception &) {
      error = "out of memory"; // what else can fail is an error; fits in place
      return false;
    }
  }
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

/// The transport whose step runs on this thread, and the rank whose turn it is.
extern thread_local LocalTransport::State *activeTransport;
extern thread_local LocalTransport::Rank *currentRank;

} // namespace rshard::runtime

#endif
