//===- Node.h - one node: what it sends, receives and caches ----*- C++ -*-===//

#ifndef RSHARD_LIB_INTERPRETER_NODE_H
#define RSHARD_LIB_INTERPRETER_NODE_H

#include "Baton.h"
#include "Evaluator.h"
#include "StepRows.h"
#include "rshard/Interpreter/Partitioned.h"

namespace rshard::interpreter {

/// The keys and values that one node holds, per layer.
template <typename T> struct Cache {
  struct Layer {
    std::vector<T> keys, values;
    Ids positions; ///< ascending
  };
  std::map<int64_t, Layer> layers;

  /// Forgets positions at or after `position` (C5).
  void truncate(int64_t position) {
    for (auto &[number, layer] : layers) {
      size_t kept = 0;
      while (kept < layer.positions.size() && layer.positions[kept] < position)
        ++kept;
      if (kept == layer.positions.size())
        continue;
      size_t width = layer.keys.size() / layer.positions.size();
      layer.keys.resize(kept * width);
      layer.values.resize(kept * width);
      layer.positions.resize(kept);
    }
  }
};

/// Rows on their way from one node to another.
template <typename T> struct Parcel {
  Ids positions;
  std::vector<Tensor<T>> rows; ///< one per tensor of the route
};

/// What the nodes of one step share.
template <typename T> struct Exchange {
  /// Route, layer, sender, receiver.
  using Address = std::tuple<std::string, int64_t, int32_t, int32_t>;

  const tokenset::Plan &plan;
  StepRows &rows;
  const StepInput<T> &input;
  int64_t position;
  int64_t wanted;
  Baton baton;
  std::map<Address, Parcel<T>> mailbox;
  const std::function<void(const Message &)> &listener;
};

template <typename T> class Node final : public NodeContext<T> {
public:
  Node(int32_t number, Exchange<T> &exchange, Cache<T> &cache)
      : number(number), exchange(exchange), cache(cache) {}

  mlir::FailureOr<Ids> tokens(TokensOp op) override;
  mlir::FailureOr<TensorPtr<T>> rows(RowsOp op) override;
  mlir::FailureOr<Ids> positions(PositionsOp op, int64_t self) override;
  mlir::FailureOr<TensorPtr<T>> wanted(WantedOp op, TensorPtr<T> rows) override;
  mlir::LogicalResult send(SendOp op, int64_t layer,
                           llvm::ArrayRef<TensorPtr<T>> rows) override;
  mlir::FailureOr<Data<T>> receive(ReceiveOp op, int64_t layer) override;
  mlir::FailureOr<Data<T>> append(AppendOp op, int64_t layer,
                                  const Tensor<T> &key, const Tensor<T> &value,
                                  const Ids &positions) override;

private:
  using Parcels = std::vector<std::pair<int32_t, Parcel<T>>>;

  /// The nodes at the other end of a route.
  std::vector<int32_t> getNodes(Role role) const;
  /// Waits for what every sender has for this node, by sender.
  mlir::FailureOr<Parcels> collect(ReceiveOp op, RouteOp route, int64_t layer);
  /// Puts rows in ascending order of their positions (C4).
  Data<T> place(RouteOp route, const Parcels &parcels);
  /// One partial per row and rank that computed it, in the order of C3.
  Data<T> placePartials(RouteOp route, const Parcels &parcels);

  int32_t number;
  Exchange<T> &exchange;
  Cache<T> &cache;
};

extern template class Node<float>;
extern template class Node<double>;

} // namespace rshard::interpreter

#endif // RSHARD_LIB_INTERPRETER_NODE_H
