// C6: every send has exactly one receive with the same rows.

#include "TensorRoutes.h"
#include "rshard/tokenset/Verify.h"

#include <tuple>

namespace rshard::tokenset {
namespace {

struct Message {
  int32_t source;
  int32_t destination;
  bool isReceive; // after the send, in sorted order
  int32_t begin;
  int32_t count;
};

std::string describe(const TensorRoute &route, const Message &message) {
  return "C6: " + route.exchange + " tensor " + std::to_string(route.tensor) +
         " from rank " + std::to_string(message.source) + " to rank " +
         std::to_string(message.destination) + ": ";
}

/// The entries of a table in the one total order, and of tensors that exist.
Expected<void> verifyOrder(const TensorRoute &route, int32_t rank,
                           int32_t ranks, int32_t tensors) {
  std::tuple<int32_t, int32_t, int32_t> last(-1, -1, -1);
  if (route.transfers->size() % Transfer::kFields != 0)
    return Error{"C6: " + route.exchange + ": the transfer table of rank " +
                 std::to_string(rank) + " ends inside an entry"};
  for (size_t i = 0; i < transferCount(*route.transfers); ++i) {
    Transfer t = transferAt(*route.transfers, i);
    std::tuple<int32_t, int32_t, int32_t> key(
        t.isSend ? rank : t.peer, t.isSend ? t.peer : rank, t.tensor);
    if (t.peer < 0 || t.peer >= ranks || t.peer == rank || t.tensor < 0 ||
        t.tensor >= tensors || t.count < 1 || t.isSend < 0 || t.isSend > 1)
      return Error{"C6: " + route.exchange + ": rank " + std::to_string(rank) +
                   (t.isSend ? " sends " : " receives ") +
                   std::to_string(t.count) + " rows of tensor " +
                   std::to_string(t.tensor) + ", peer " +
                   std::to_string(t.peer) + " of " + std::to_string(ranks)};
    if (key <= last)
      return Error{"C6: " + route.exchange + ": entry " + std::to_string(i) +
                   " of rank " + std::to_string(rank) +
                   " is not in order of source, destination, tensor"};
    last = key;
  }
  return {};
}

/// One tensor of one exchange over all ranks.
Expected<void> verifyTensor(const std::vector<std::vector<TensorRoute>> &ranks,
                            size_t at) {
  std::vector<Message> messages;
  for (int32_t rank = 0; rank < int32_t(ranks.size()); ++rank) {
    const TensorRoute &route = ranks[rank][at];
    size_t sent = 0;
    for (size_t i = 0; i < transferCount(*route.transfers); ++i) {
      Transfer t = transferAt(*route.transfers, i);
      if (t.tensor != route.tensor)
        continue;
      Message message{t.isSend ? rank : t.peer, t.isSend ? t.peer : rank,
                      !t.isSend, t.begin, t.count};
      if (t.isSend && size_t(t.begin) != sent)
        return Error{describe(route, message) + "is sent from row " +
                     std::to_string(t.begin) +
                     " of the staging buffer, "
                     "expected row " +
                     std::to_string(sent)};
      sent += t.isSend ? t.count : 0;
      messages.push_back(message);
    }
    if (sent != route.pack->size())
      return Error{"C6: " + route.exchange + " tensor " +
                   std::to_string(route.tensor) + ": rank " +
                   std::to_string(rank) + " packs " +
                   std::to_string(route.pack->size()) + " rows and sends " +
                   std::to_string(sent)};
  }
  std::sort(messages.begin(), messages.end(),
            [](const Message &a, const Message &b) {
              return std::tuple(a.source, a.destination, a.isReceive) <
                     std::tuple(b.source, b.destination, b.isReceive);
            });
  for (size_t i = 0; i < messages.size(); i += 2) {
    const Message &send = messages[i];
    const TensorRoute &from = ranks[send.source][at];
    const TensorRoute &to = ranks[send.destination][at];
    bool pair = i + 1 < messages.size() && !send.isReceive &&
                messages[i + 1].isReceive &&
                messages[i + 1].source == send.source &&
                messages[i + 1].destination == send.destination;
    if (!pair)
      return Error{describe(from, send) + (send.isReceive
                                               ? "a receive has no send"
                                               : "a send has no receive")};
    const Message &receive = messages[i + 1];
    if (send.count != receive.count)
      return Error{describe(from, send) + std::to_string(send.count) +
                   " rows are sent, " + std::to_string(receive.count) +
                   " received"};
    for (int32_t row = 0; row < send.count; ++row) {
      int32_t sent = from.own[(*from.pack)[send.begin + row]];
      int32_t read = to.used[receive.begin + row];
      if (sent != read)
        return Error{
            describe(from, send) + "row " + std::to_string(row) +
            " holds position " + std::to_string(sent) +
            (read < 0 ? ", which nobody reads"
                      : ", it is read as position " + std::to_string(read))};
    }
  }
  return {};
}

} // namespace

Expected<void> verifyMatching(const std::vector<Routes> &routes) {
  std::vector<std::vector<TensorRoute>> ranks;
  for (size_t rank = 0; rank < routes.size(); ++rank) {
    if (routes[rank].rank() != int32_t(rank) ||
        size_t(routes[rank].plan().rankCount()) != routes.size() ||
        routes[rank].masks() != routes[0].masks())
      return Error{"C6: entry " + std::to_string(rank) + " of " +
                   std::to_string(routes.size()) + " has the routes of rank " +
                   std::to_string(routes[rank].rank()) + " of a plan with " +
                   std::to_string(routes[rank].plan().rankCount())};
    auto list = tensorRoutes(routes[rank]);
    if (!list)
      return list.error();
    for (size_t at = 0; at < list->size(); ++at) {
      // The last tensor of an exchange tells how many it has.
      size_t last = at;
      while (last + 1 < list->size() &&
             (*list)[last + 1].exchange == (*list)[at].exchange)
        ++last;
      if (auto status =
              verifyOrder((*list)[at], int32_t(rank), int32_t(routes.size()),
                          (*list)[last].tensor + 1);
          !status)
        return status;
    }
    ranks.push_back(std::move(*list));
  }
  if (ranks.empty())
    return {};
  for (size_t at = 0; at < ranks[0].size(); ++at)
    if (auto status = verifyTensor(ranks, at); !status)
      return status;
  return {};
}

} // namespace rshard::tokenset
