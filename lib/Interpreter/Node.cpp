//===- Node.cpp - one node: what it sends, receives and caches ------------===//

#include "Node.h"
#include "Kernels.h"
#include "rshard/Plan/PlanSymbols.h"

using namespace mlir;
using namespace rshard;
using namespace rshard::interpreter;

static tokenset::Mask getRouteMask(RouteOp route) {
  // Routes without a mask do not ask it.
  return route.getMask() ? getMask(*route.getMask()) : tokenset::Mask::full();
}

static RouteOp getRoute(Operation *op, FlatSymbolRefAttr name) {
  return SymbolTable::lookupNearestSymbolFrom<RouteOp>(op, name);
}

/// A tensor of the route, with no rows yet.
template <typename T> static Tensor<T> makeEmpty(RouteOp route, size_t index) {
  std::vector<int64_t> shape(route.getTensor(index).getShape());
  shape[0] = 0;
  return Tensor<T>(std::move(shape));
}

template <typename T>
static void appendRow(Tensor<T> &to, const Tensor<T> &from, int64_t row) {
  to.values.insert(to.values.end(), from.row(row),
                   from.row(row) + from.width());
  ++to.shape[0];
}

template <typename T> static Datum<T> share(Tensor<T> tensor) {
  return std::make_shared<const Tensor<T>>(std::move(tensor));
}
template <typename T> static Datum<T> share(Ids ids) {
  return std::make_shared<const Ids>(std::move(ids));
}

//===----------------------------------------------------------------------===//
// The node's own rows
//===----------------------------------------------------------------------===//

template <typename T> FailureOr<Ids> Node<T>::tokens(TokensOp op) {
  if (const auto *tokens = std::get_if<Ids>(&exchange.input))
    return *tokens;
  return op.emitOpError("wants token ids vs a step of rows");
}

template <typename T> FailureOr<TensorPtr<T>> Node<T>::rows(RowsOp op) {
  const auto *rows = std::get_if<Tensor<T>>(&exchange.input);
  if (!rows)
    return op.emitOpError("wants rows vs a step of token ids");
  if (!takesRows(op.getResult().getType(), *rows))
    return op.emitOpError("wants ")
           << op.getResult().getType() << " vs rows of " << rows->width();
  return shapeRows(*rows, op.getResult().getType());
}

template <typename T>
FailureOr<Ids> Node<T>::positions(PositionsOp op, int64_t self) {
  NodeName name = getNode(exchange.plan, number);
  if (self != name.comp)
    return op.emitOpError("of node ")
           << self << " in the program of node " << name.comp;
  return exchange.rows.held(tokenset::Mask::full(), number);
}

template <typename T>
FailureOr<TensorPtr<T>> Node<T>::wanted(WantedOp op, TensorPtr<T> rows) {
  // Rows that came back from the CompNodes are the wanted ones already.
  int64_t wanted = exchange.wanted;
  if (rows->rows() == wanted)
    return rows;
  if (int64_t all = countRows<T>(exchange.input); rows->rows() != all)
    return op.emitOpError("rows: ") << rows->rows() << " vs the step's " << all
                                    << " or the " << wanted << " wanted";
  std::vector<int64_t> shape = rows->shape;
  shape[0] = wanted;
  Tensor<T> last(std::move(shape));
  std::copy(rows->row(rows->rows() - wanted), rows->row(rows->rows()),
            last.values.begin());
  return std::make_shared<const Tensor<T>>(std::move(last));
}

template <typename T>
FailureOr<Data<T>> Node<T>::append(AppendOp op, int64_t layer,
                                   const Tensor<T> &key, const Tensor<T> &value,
                                   const Ids &positions) {
  typename Cache<T>::Layer &held = cache.layers[layer];
  for (size_t row = 0; row < positions.size(); ++row) {
    if (!held.positions.empty() && held.positions.back() >= positions[row])
      return op.emitOpError("C4: position ")
             << positions[row] << " comes after position "
             << held.positions.back();
    held.positions.push_back(positions[row]);
  }
  held.keys.insert(held.keys.end(), key.values.begin(), key.values.end());
  held.values.insert(held.values.end(), value.values.begin(),
                     value.values.end());
  Tensor<T> keys, values;
  keys.shape = values.shape = {static_cast<int64_t>(held.positions.size()),
                               key.shape[1], key.shape[2]};
  keys.values = held.keys;
  values.values = held.values;
  return Data<T>{share<T>(std::move(keys)), share<T>(std::move(values)),
                 share<T>(held.positions)};
}

//===----------------------------------------------------------------------===//
// Messages
//===----------------------------------------------------------------------===//

template <typename T> std::vector<int32_t> Node<T>::getNodes(Role role) const {
  std::vector<int32_t> nodes;
  for (int32_t node = 0; node < exchange.plan.nodes(); ++node)
    if (getNode(exchange.plan, node).role == role)
      nodes.push_back(node);
  return nodes;
}

template <typename T>
LogicalResult Node<T>::send(SendOp op, int64_t layer,
                            ArrayRef<TensorPtr<T>> rows) {
  RouteOp route = getRoute(op, op.getRouteAttr());
  tokenset::Mask mask = getRouteMask(route);
  Ids held = exchange.rows.held(mask, number);
  for (const TensorPtr<T> &tensor : rows)
    if (tensor->rows() != static_cast<int64_t>(held.size()))
      return op.emitOpError("rows: ")
             << tensor->rows() << " vs the node's " << held.size();
  for (int32_t to : getNodes(getReceiver(route.getKind()))) {
    Parcel<T> parcel;
    parcel.positions = exchange.rows.sent(route.getKind(), mask, number, to);
    if (parcel.positions.empty())
      continue;
    for (auto [index, tensor] : llvm::enumerate(rows)) {
      parcel.rows.push_back(makeEmpty<T>(route, index));
      for (int32_t position : parcel.positions)
        appendRow(parcel.rows.back(), *tensor,
                  llvm::lower_bound(held, position) - held.begin());
    }
    if (!exchange.mailbox
             .try_emplace({route.getSymName().str(), layer, number, to},
                          std::move(parcel))
             .second)
      return op.emitOpError("C6: sends a second time to ")
             << exchange.plan.nodeName(to) << " in layer " << layer;
  }
  return success();
}

template <typename T>
auto Node<T>::collect(ReceiveOp op, RouteOp route, int64_t layer)
    -> FailureOr<Parcels> {
  tokenset::Mask mask = getRouteMask(route);
  Parcels parcels;
  for (int32_t from : getNodes(getSender(route.getKind()))) {
    const Ids &expected =
        exchange.rows.sent(route.getKind(), mask, from, number);
    if (expected.empty())
      continue;
    typename Exchange<T>::Address address{route.getSymName().str(), layer, from,
                                          number};
    bool arrived = exchange.baton.wait(
        number, [&] { return exchange.mailbox.count(address) != 0; },
        exchange.plan.nodeName(number) + " waits for " +
            exchange.plan.nodeName(from) + " on route @" +
            route.getSymName().str() + " in layer " + std::to_string(layer));
    if (!arrived)
      return failure();
    auto parcel = exchange.mailbox.extract(address);
    if (exchange.listener)
      exchange.listener(
          {route.getKind(), layer, from, number, parcel.mapped().positions});
    parcels.emplace_back(from, std::move(parcel.mapped()));
  }
  return parcels;
}

template <typename T>
Data<T> Node<T>::place(RouteOp route, const Parcels &parcels) {
  struct Row {
    int32_t position;
    size_t parcel, index;
  };
  std::vector<Row> order;
  for (auto [number, parcel] : llvm::enumerate(parcels))
    for (auto [index, position] : llvm::enumerate(parcel.second.positions))
      order.push_back({position, number, index});
  llvm::sort(order, [](const Row &a, const Row &b) {
    return a.position < b.position;
  });
  Data<T> results;
  for (size_t index = 0; index < route.getTypes().size(); ++index) {
    Tensor<T> tensor = makeEmpty<T>(route, index);
    for (const Row &row : order)
      appendRow(tensor, parcels[row.parcel].second.rows[index], row.index);
    results.push_back(share<T>(std::move(tensor)));
  }
  if (!route.getMask())
    return results;
  Ids positions;
  for (const Row &row : order)
    positions.push_back(row.position);
  results.push_back(share<T>(std::move(positions)));
  return results;
}

template <typename T>
Data<T> Node<T>::placePartials(RouteOp route, const Parcels &parcels) {
  const tokenset::Plan &plan = exchange.plan;
  Partial<T> all{makeEmpty<T>(route, 0), makeEmpty<T>(route, 1)};
  Ids begin = {0}, source;
  for (int32_t position : exchange.rows.held(tokenset::Mask::full(), number)) {
    int32_t row = plan.S.owner(position);
    // Ranks in the order of the smallest column that they hold in this row of
    // the grid (C3).
    std::vector<int32_t> ranks;
    for (int32_t column = 0; column < plan.keyShards(); ++column) {
      int32_t rank = plan.ranks[plan.attnNode(row, column)];
      if (!llvm::is_contained(ranks, rank))
        ranks.push_back(rank);
    }
    for (int32_t rank : ranks) {
      // Parcels come in the order of nodes: ascending columns.
      Partial<T> own{makeEmpty<T>(route, 0), makeEmpty<T>(route, 1)};
      SmallVector<int64_t> sources;
      for (const auto &[from, parcel] : parcels) {
        auto at = llvm::find(parcel.positions, position);
        if (plan.ranks[from] != rank || at == parcel.positions.end())
          continue;
        int64_t index = at - parcel.positions.begin();
        appendRow(own.output, parcel.rows[0], index);
        appendRow(own.lse, parcel.rows[1], index);
        sources.push_back(sources.size());
      }
      if (sources.empty())
        continue; // C2: skipped everywhere on this rank
      // A rank merges its own partials before it returns them.
      Partial<T> merged{makeEmpty<T>(route, 0), makeEmpty<T>(route, 1)};
      appendRow(merged.output, own.output, 0);
      appendRow(merged.lse, own.lse, 0);
      if (sources.size() > 1)
        merge<T>(own, sources, merged, 0);
      source.push_back(all.output.rows());
      appendRow(all.output, merged.output, 0);
      appendRow(all.lse, merged.lse, 0);
    }
    begin.push_back(source.size());
  }
  return {share<T>(std::move(all.output)), share<T>(std::move(all.lse)),
          share<T>(std::move(begin)), share<T>(std::move(source))};
}

template <typename T>
FailureOr<Data<T>> Node<T>::receive(ReceiveOp op, int64_t layer) {
  RouteOp route = getRoute(op, op.getRouteAttr());
  FailureOr<Parcels> parcels = collect(op, route, layer);
  if (failed(parcels))
    return failure();
  return route.getKind() == RouteKind::Partial ? placePartials(route, *parcels)
                                               : place(route, *parcels);
}

namespace rshard::interpreter {
template class Node<float>;
template class Node<double>;
} // namespace rshard::interpreter
