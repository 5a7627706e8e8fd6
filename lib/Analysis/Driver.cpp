//===- Driver.cpp - C6 of the scheduled phase -----------------------------===//

#include "NCCL/NCCL.h"
#include "PhasePrograms.h"
#include "rshard/tokenset/Exchange.h"

using namespace mlir;
using namespace rshard;

namespace {

/// An exchange of the driver: its number within a layer, and the routes whose
/// rows it moves.
struct Expected {
  size_t number;
  int64_t layer;
  SmallVector<RouteOp, 2> routes;
};

/// One tensor of a message: its elements, and how many a row has.
using RowShape = std::pair<Type, int64_t>;

} // namespace

static std::string describe(const Expected &exchange) {
  std::string text = std::to_string(exchange.number) + " (";
  for (RouteOp route : exchange.routes)
    text += (text.back() == '(' ? "@" : ", @") + route.getSymName().str();
  return text + ") in layer " + std::to_string(exchange.layer);
}

/// The total order: enter, up and down of every sharded layer, leave. Exchanges
/// are numbered in this order within a layer, by class.
static std::vector<Expected> expectedOrder(ArrayRef<int32_t> classes,
                                           const tokenset::Plan &plan,
                                           const RouteSet &routes) {
  int64_t first = plan.clientFirst;
  int64_t last = static_cast<int64_t>(classes.size()) - plan.clientLast - 1;
  std::vector<Expected> order{
      {tokenset::enterExchange(), first, {routes.getEnter()}}};
  for (int64_t layer = first; layer <= last; ++layer) {
    int64_t one = classes[layer];
    order.push_back({tokenset::upExchange(one),
                     layer,
                     {routes.getQuery(one), routes.getKey(one)}});
    order.push_back(
        {tokenset::downExchange(one), layer, {routes.getPartial(one)}});
  }
  order.push_back({tokenset::leaveExchange(routes.getNumClasses()),
                   last,
                   {routes.getLeave()}});
  return order;
}

static LogicalResult checkOrder(const Event &event, const Expected &expected) {
  auto op = dyn_cast<ExchangeOp>(event.op);
  if (!op)
    return event.op->emitOpError("C6: stands where exchange ")
           << describe(expected) << " is announced";
  if (op.getExchange() == static_cast<int64_t>(expected.number) &&
      event.layer == expected.layer)
    return success();
  return op.emitOpError("C6: is exchange ")
         << op.getExchange() << " in layer " << event.layer << " vs "
         << describe(expected)
         << ", which comes next in the order of all ranks";
}

/// In an order that does not depend on the run.
static void sortRows(SmallVectorImpl<RowShape> &rows) {
  auto key = [](const RowShape &row) {
    return std::tuple(row.second, row.first.getIntOrFloatBitWidth(),
                      row.first.isBF16());
  };
  llvm::sort(rows, [&](const RowShape &a, const RowShape &b) {
    return key(a) < key(b);
  });
}

/// The rows that a group sends or receives, sorted.
template <typename Op>
static SmallVector<RowShape> rowsOf(nccl::GroupOp group) {
  SmallVector<RowShape> rows;
  group.walk([&](Op op) {
    auto type = cast<MemRefType>(op.getBuffer().getType());
    rows.push_back({type.getElementType(), getRowWidth(type)});
  });
  sortRows(rows);
  return rows;
}

static std::string describe(ArrayRef<RowShape> rows) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(rows, os, [&](const RowShape &row) {
    os << row.second << " " << row.first;
  });
  return "[" + text + "]";
}

/// A group sends and receives rows of every tensor of the exchange's routes.
static LogicalResult checkGroup(const Event &event, const Expected &expected,
                                Operation *exchange) {
  auto group = dyn_cast<nccl::GroupOp>(event.op);
  if (!group) {
    InFlightDiagnostic diag =
        event.op->emitOpError("C6: stands where the group of exchange ")
        << describe(expected) << " is started";
    diag.attachNote(exchange->getLoc()) << "the exchange";
    return diag;
  }
  SmallVector<RowShape> wanted;
  for (RouteOp route : expected.routes)
    for (size_t index = 0; index != route.getTypes().size(); ++index) {
      RankedTensorType type = route.getTensor(index);
      wanted.push_back({type.getElementType(), getRowWidth(type)});
    }
  sortRows(wanted);
  auto compare = [&](ArrayRef<RowShape> rows, StringRef verb) -> LogicalResult {
    if (rows == ArrayRef(wanted))
      return success();
    InFlightDiagnostic diag = group.emitOpError("C6: ")
                              << verb << " rows of " << describe(rows) << " vs "
                              << describe(wanted) << " of exchange "
                              << describe(expected);
    for (RouteOp route : expected.routes)
      diag.attachNote(route.getLoc()) << "route @" << route.getSymName();
    return diag;
  };
  if (failed(compare(rowsOf<nccl::SendOp>(group), "sends")))
    return failure();
  return compare(rowsOf<nccl::RecvOp>(group), "receives");
}

FailureOr<int64_t> rshard::verifyDriver(func::FuncOp driver,
                                        ArrayRef<int32_t> layerClasses,
                                        const tokenset::Plan &plan,
                                        const RouteSet &routes) {
  FailureOr<std::vector<Event>> events = traceProgram(driver);
  if (failed(events))
    return failure();
  std::vector<Expected> order = expectedOrder(layerClasses, plan, routes);
  for (auto [index, expected] : llvm::enumerate(order)) {
    if (2 * index + 1 >= events->size())
      return driver.emitOpError("C6: ends before exchange ")
             << describe(expected);
    const Event &exchange = (*events)[2 * index];
    if (failed(checkOrder(exchange, expected)) ||
        failed(checkGroup((*events)[2 * index + 1], expected, exchange.op)))
      return failure();
  }
  if (events->size() != 2 * order.size())
    return (*events)[2 * order.size()].op->emitOpError(
               "C6: comes after the last exchange, ")
           << describe(order.back());
  return static_cast<int64_t>(order.size());
}
