// Pairing messages with their other ends, and saying what is wrong with those
// that have none.

#include "LocalTransportState.h"
#include "rshard/runtime/ABI.h"

#include <algorithm>

namespace rshard::runtime {

std::optional<ElementType> elementTypeOf(int type) {
  switch (type) {
  case RSHARD_NCCL_INT32:
    return ElementType::I32;
  case RSHARD_NCCL_FLOAT16:
    return ElementType::F16;
  case RSHARD_NCCL_FLOAT32:
    return ElementType::F32;
  case RSHARD_NCCL_BFLOAT16:
    return ElementType::BF16;
  default:
    return std::nullopt;
  }
}

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
  std::string text = std::to_string(message.count) + " " +
                     std::string(tokenset::elementTypeName(message.type)) +
                     " elements (" + std::to_string(message.bytes()) + " bytes";
  if (message.rows != none)
    text += ", " + std::to_string(message.rows) + " rows of " +
            exchanges[static_cast<size_t>(message.exchange)]
                .tensors[static_cast<size_t>(message.tensor)]
                .name;
  return text + ")";
}

bool LocalTransport::State::refuse(std::string message) {
  error = std::move(message);
  return false;
}

bool LocalTransport::State::refuse(const Rank &rank, const std::string &what) {
  return refuse("rank " + std::to_string(rank.number) + ", " +
                place(rank.exchange, rank.layer) + ": " + what);
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
  if (message.type != tensor.type)
    return refuse(rank,
                  verb + std::string(tokenset::elementTypeName(message.type)) +
                      " elements, but rows of " + tensor.name + " are " +
                      std::string(tokenset::elementTypeName(tensor.type)));
  return true;
}

bool LocalTransport::State::record(Rank &rank, bool isSend, void *data,
                                   size_t count, int type, int32_t peer) {
  Message message;
  message.isSend = isSend;
  message.rank = rank.number;
  message.peer = peer;
  message.exchange = rank.exchange;
  message.layer = rank.layer;
  message.count = count;
  message.data = static_cast<std::byte *>(data);
  std::optional<ElementType> element = elementTypeOf(type);
  if (peer < 0 || peer >= size() || !element)
    return refuse(rank, "message of type " + std::to_string(type) +
                            " with rank " + std::to_string(peer) + " of " +
                            std::to_string(size()));
  message.type = *element;
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
    device.copy(receive.data, send.data, receive.bytes());

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

} // namespace rshard::runtime
