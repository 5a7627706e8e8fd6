#include "HostCodeImports.h"
#include "LocalTransportState.h"
#include "rshard/runtime/Pool.h"

namespace rshard::runtime {

namespace {

/// NCCL's results.
enum { success = 0, invalidUsage = 5 };

/// One message: inside a group it waits for ncclGroupEnd, outside it is a group
/// of its own.
int message(bool isSend, void *data, size_t count, int type, int peer,
            void *comm) {
  if (!activeTransport || !currentRank)
    return invalidUsage;
  LocalTransport::State &transport = *activeTransport;
  LocalTransport::Rank &rank = *currentRank;
  bool ok = transport.attempt([&] {
    if (comm != &rank)
      return transport.refuse(rank, "uses a communicator that is not its own");
    return transport.record(rank, isSend, data, count, type, peer) &&
           (rank.depth != 0 || transport.finishGroup(rank));
  });
  if (!ok)
    transport.abandon(rank);
  return success;
}

void exchange(rshard_frame *frame, int32_t exchange, int32_t layer) {
  (void)frame;
  if (!activeTransport || !currentRank)
    return;
  LocalTransport::State &transport = *activeTransport;
  LocalTransport::Rank &rank = *currentRank;
  if (!transport.attempt(
          [&] { return transport.enter(rank, exchange, layer); }))
    transport.abandon(rank);
}

void run(rshard_frame *frame, int32_t kernel, const rshard_argument *arguments,
         int32_t count) {
  if (!activeTransport || !currentRank)
    return;
  auto &device = *static_cast<Device *>(frame->session);
  bool ok = activeTransport->attempt([&] {
    device.run(kernel, {arguments, static_cast<size_t>(count)});
    return true;
  });
  if (!ok)
    activeTransport->abandon(*currentRank);
}

int groupStart() {
  if (!currentRank)
    return invalidUsage;
  ++currentRank->depth;
  return success;
}

int groupEnd() {
  if (!activeTransport || !currentRank || currentRank->depth == 0)
    return invalidUsage;
  LocalTransport::State &transport = *activeTransport;
  LocalTransport::Rank &rank = *currentRank;
  if (--rank.depth == 0 &&
      !transport.attempt([&] { return transport.finishGroup(rank); }))
    transport.abandon(rank);
  return success;
}

int send(const void *data, size_t count, int datatype, int peer, void *comm,
         void *stream) {
  return message(true, const_cast<void *>(data), count, datatype, peer, comm);
}

int receive(void *data, size_t count, int datatype, int peer, void *comm,
            void *stream) {
  return message(false, data, count, datatype, peer, comm);
}

} // namespace

const rshard_import_table &hostCodeImports() {
  static constexpr rshard_import_table functions{.rshard_exchange = exchange,
                                                 .rshard_parallel_for =
                                                     detail::parallelFor,
                                                 .rshard_run = run,
                                                 .ncclGroupStart = groupStart,
                                                 .ncclGroupEnd = groupEnd,
                                                 .ncclSend = send,
                                                 .ncclRecv = receive};
  return functions;
}

} // namespace rshard::runtime
