//===- LocalTransport.h - All ranks of a plan in one process
//----------------===//
//
// NCCL's semantics for ranks that take turns on the calling thread. A rank runs
// until it blocks in ncclGroupEnd; then the next rank in rank order that can go
// on does. So kernels may use every core, the order of everything is the same
// in every run, and a rank without messages costs a function call.
//
//===----------------------------------------------------------------------===//
#ifndef RSHARD_RUNTIME_SRC_LOCALTRANSPORT_H
#define RSHARD_RUNTIME_SRC_LOCALTRANSPORT_H

#include "Device.h"
#include "Fiber.h"
#include "rshard/runtime/Manifest.h"
#include "rshard/runtime/Transport.h"

#include <memory>
#include <span>

namespace rshard::runtime {

/// The tables of one exchange on one rank. The addresses are stable, the data
/// changes with the step.
struct ExchangeRoute {
  struct Source {
    const std::vector<int32_t> *pack = nullptr, *positions = nullptr;
  };
  const std::vector<int32_t> *transfer = nullptr;
  std::vector<Source> tensors;
};

class LocalTransport {
public:
  struct Rank;

  /// The device copies what messages move. Without `exchanges`, messages are
  /// not compared with a route table and count as tensor 0 of exchange 0.
  static Expected<std::unique_ptr<LocalTransport>>
  create(Device &device, int32_t ranks, std::vector<ExchangeSpec> exchanges);
  ~LocalTransport();

  /// Says where the tables of a rank are; one route per exchange.
  void setRoutes(int32_t rank, std::vector<ExchangeRoute> routes);
  /// What goes into rshard_frame::comm.
  void *communicator(int32_t rank);

  /// Calls hook(ctx, rank, exchange) before the messages of every exchange of a
  /// rank; null: none.
  void setHook(void (*hook)(void *ctx, int32_t rank, int32_t exchange),
               void *ctx);

  /// Runs program(ctx, rank) for every rank. On an error (a message that does
  /// not match, or no rank can go on) all programs are abandoned where they are
  /// and the error names ranks, exchange, layer.
  Expected<void> run(void (*program)(void *ctx, int32_t rank), void *ctx);

  /// Edges with at least one message, in order of exchange, source,
  /// destination, tensor.
  std::vector<EdgeCount> counts() const;
  void resetCounts();
  void setReceiveLog(bool on);
  const std::vector<ReceiveRecord> &receiveLog() const;
  void clearReceiveLog();
  void setMuted(std::vector<MutedEdge> edges);

  struct State;

private:
  explicit LocalTransport(Device &device);
  std::unique_ptr<State> state;
};

} // namespace rshard::runtime

#endif
