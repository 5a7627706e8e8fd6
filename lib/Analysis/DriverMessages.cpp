//===- DriverMessages.cpp - the messages that a driver starts -------------===//

#include "DriverMessages.h"
#include "NCCL/NCCL.h"
#include "ProgramTrace.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rshard;
using tokenset::Transfer;

namespace {

/// A message as one rank starts it.
struct Message {
  bool isSend = false;
  std::string buffer;
  int64_t peer = -1, begin = -1, count = -1; ///< -1: not known

  bool operator==(const Message &) const = default;
};

class DriverRun {
public:
  DriverRun(func::FuncOp driver,
            const std::vector<tokenset::Exchange> &exchanges,
            const tokenset::Routes &routes)
      : exchanges(exchanges), routes(routes),
        trace(driver,
              [&](StringRef name) { return routes.tables().find(name); }) {}

  LogicalResult run() {
    return trace.follow([&](Operation *op) { return visit(op); });
  }

private:
  LogicalResult visit(Operation *op);
  LogicalResult visitExchange(ExchangeOp op);
  LogicalResult visitGroup(nccl::GroupOp group);
  LogicalResult checkPacked(nccl::GroupOp group);
  template <typename Op> LogicalResult visitMessage(Op op);

  Message read(bool isSend, Value buffer, Value peer);
  /// What an entry of the exchange's table comes to.
  Message expect(const Transfer &entry) const;
  std::string describe(const Message &message) const;
  /// `exchange up0 of rank 3`
  std::string where() const {
    return "exchange " + exchange->name + " of rank " +
           std::to_string(routes.rank());
  }

  const std::vector<tokenset::Exchange> &exchanges;
  const tokenset::Routes &routes;
  ProgramTrace trace;

  const tokenset::Exchange *exchange = nullptr;
  ExchangeOp announced;
  /// By staging buffer: the gather that filled it in this exchange.
  llvm::StringMap<GatherOp> packed;
  /// Of the exchange: its table, and how many of its messages were started.
  const tokenset::IndexList *transfers = nullptr;
  size_t started = 0;
  /// Layers of a class share the tables: a group that was run is not run again.
  DenseSet<Operation *> done;
};

} // namespace

static StringRef nameOf(Value value) {
  if (auto view = value.getDefiningOp<memref::SubViewOp>())
    value = view.getSource();
  if (auto buffer = value.getDefiningOp<GetBufferOp>())
    return buffer.getBuffer();
  if (auto table = value.getDefiningOp<GetTableOp>())
    return table.getTable();
  return "";
}

Message DriverRun::read(bool isSend, Value buffer, Value peer) {
  Message message{isSend, nameOf(buffer).str()};
  message.peer = trace.valueOf(peer).value_or(-1);
  if (auto view = buffer.getDefiningOp<memref::SubViewOp>()) {
    message.begin = trace.valueOf(view.getMixedOffsets()[0]).value_or(-1);
    message.count = trace.valueOf(view.getMixedSizes()[0]).value_or(-1);
  }
  return message;
}

Message DriverRun::expect(const Transfer &entry) const {
  std::string name(exchange->tensors[entry.tensor].name);
  return {entry.isSend != 0, entry.isSend ? name + ".send" : "pool." + name,
          entry.peer, entry.begin, entry.count};
}

std::string DriverRun::describe(const Message &message) const {
  auto number = [](int64_t value) {
    return value < 0 ? std::string("?") : std::to_string(value);
  };
  return std::string(message.isSend ? "sends " : "receives ") +
         number(message.count) + " rows " + (message.isSend ? "of" : "into") +
         " @" + message.buffer + " from row " + number(message.begin) +
         (message.isSend ? " to" : " from") + " rank " + number(message.peer);
}

LogicalResult DriverRun::visitExchange(ExchangeOp op) {
  if (op.getExchange() >= exchanges.size())
    return op.emitOpError("C6: is exchange ")
           << op.getExchange() << " vs less than " << exchanges.size();
  announced = op;
  exchange = &exchanges[op.getExchange()];
  packed.clear();
  return success();
}

/// What is sent was gathered from the pool by the exchange's list of rows.
LogicalResult DriverRun::checkPacked(nccl::GroupOp group) {
  for (const tokenset::ExchangeTensor &tensor : exchange->tensors) {
    std::string staging = std::string(tensor.name) + ".send",
                pool = "pool." + std::string(tensor.name);
    GatherOp gather = packed.lookup(staging);
    if (!gather) {
      InFlightDiagnostic diag = group.emitOpError("C6: exchange ")
                                << exchange->name << " gathers nothing into @"
                                << staging << " vs rows @" << tensor.pack
                                << " of @" << pool;
      diag.attachNote(announced.getLoc()) << "the exchange begins here";
      return diag;
    }
    StringRef source = nameOf(gather.getSource()),
              index = nameOf(gather.getIndex());
    if (source == pool && index == tensor.pack)
      continue;
    InFlightDiagnostic diag =
        gather.emitOpError("C6: takes rows @")
        << index << " of @" << source << " vs @" << tensor.pack << " of @"
        << pool << ", which exchange " << exchange->name << " sends";
    diag.attachNote(group.getLoc()) << "they are sent here";
    return diag;
  }
  return success();
}

template <typename Op> LogicalResult DriverRun::visitMessage(Op op) {
  constexpr bool isSend = std::is_same_v<Op, nccl::SendOp>;
  Message message = read(isSend, op.getBuffer(), op.getPeer());
  if (started >= tokenset::transferCount(*transfers))
    return op.emitOpError("C6: ")
           << where() << " " << describe(message) << " vs no more than the "
           << started << " messages of @" << exchange->transfer;
  Transfer entry = tokenset::transferAt(*transfers, started++);
  Message expected = expect(entry);
  if (message == expected)
    return success();
  InFlightDiagnostic diag =
      op.emitOpError("C6: ")
      << where() << " " << describe(message) << " vs entry " << started - 1
      << " of @" << exchange->transfer << ", which " << describe(expected);
  // The other end of the tensor that was due.
  Message peer = expect({entry.tensor, !entry.isSend, entry.peer, 0, 0});
  op->template getParentOfType<nccl::GroupOp>().walk([&](Operation *other) {
    Value buffer;
    if (auto send = dyn_cast<nccl::SendOp>(other))
      buffer = send.getBuffer();
    else if (auto receive = dyn_cast<nccl::RecvOp>(other))
      buffer = receive.getBuffer();
    if (buffer && nameOf(buffer) == peer.buffer)
      diag.attachNote(other->getLoc())
          << (peer.isSend ? "sent" : "received") << " here";
  });
  return diag;
}

LogicalResult DriverRun::visitGroup(nccl::GroupOp group) {
  if (!exchange)
    return group.emitOpError("C6: belongs to no rshard.exchange");
  if (failed(checkPacked(group)))
    return failure();
  if (!done.insert(group).second)
    return success();
  transfers = routes.tables().find(exchange->transfer);
  started = 0;
  if (failed(trace.enter(group.getBody().front())))
    return failure();
  size_t listed = tokenset::transferCount(*transfers);
  if (started == listed)
    return success();
  InFlightDiagnostic diag =
      group.emitOpError("C6: ")
      << where() << " starts " << started << " messages vs " << listed
      << " of @" << exchange->transfer << ", the next of which "
      << describe(expect(tokenset::transferAt(*transfers, started)));
  diag.attachNote(announced.getLoc()) << "the exchange begins here";
  return diag;
}

LogicalResult DriverRun::visit(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](ExchangeOp one) { return visitExchange(one); })
      .Case([&](GatherOp gather) {
        packed[nameOf(gather.getTarget())] = gather;
        return success();
      })
      .Case([&](nccl::GroupOp group) { return visitGroup(group); })
      .Case<nccl::SendOp, nccl::RecvOp>(
          [&](auto one) { return visitMessage(one); })
      .Default([](Operation *) { return success(); });
}

LogicalResult
rshard::verifyDriverMessages(func::FuncOp driver,
                             const std::vector<tokenset::Exchange> &exchanges,
                             const tokenset::Routes &routes) {
  return DriverRun(driver, exchanges, routes).run();
}
