//===- Partitioned.cpp - runs a partitioned module as n nodes -------------===//

#include "rshard/Interpreter/Partitioned.h"
#include "Baton.h"
#include "Evaluator.h"
#include "Node.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Plan/ProgramSet.h"

using namespace mlir;
using namespace rshard;
using namespace rshard::interpreter;

template <typename T> struct Partitioned<T>::State {
  State(ModuleOp module, WeightProvider &weights, tokenset::Plan plan,
        const ProgramSet &programs, int64_t capacity)
      : module(module), weights(weights), plan(std::move(plan)),
        programs(programs), capacity(capacity) {}

  ModuleOp module;
  WeightStore<T> weights;
  tokenset::Plan plan;
  ProgramSet programs;
  int64_t capacity;
  int64_t length = 0;
  bool hasFullMask = false;
  std::vector<Cache<T>> caches; ///< by node
  std::function<void(const Message &)> listener;
};

template <typename T>
Partitioned<T>::Partitioned(std::unique_ptr<State> state)
    : state(std::move(state)) {}
template <typename T>
Partitioned<T>::Partitioned(Partitioned &&) noexcept = default;
template <typename T> Partitioned<T>::~Partitioned() = default;
template <typename T> int64_t Partitioned<T>::length() const {
  return state->length;
}
template <typename T> const tokenset::Plan &Partitioned<T>::plan() const {
  return state->plan;
}
template <typename T>
void Partitioned<T>::onReceive(std::function<void(const Message &)> listener) {
  state->listener = std::move(listener);
}

template <typename T>
FailureOr<Partitioned<T>> Partitioned<T>::create(ModuleOp module,
                                                 WeightProvider &weights,
                                                 int64_t capacity) {
  FailureOr<tokenset::Plan> plan = readPlan(module);
  if (failed(plan))
    return failure();
  if (capacity < 1 || capacity > plan->limit())
    return module.emitError("capacity: ")
           << capacity << " vs 1 to " << plan->limit()
           << ", the positions that the plan's sets own";
  FailureOr<ProgramSet> programs = ProgramSet::create(module);
  if (failed(programs))
    return failure();
  FunctionType client = programs->get(Role::Client).getFunctionType();
  if (client.getNumResults() != 1 || !isa<TensorType>(client.getResult(0)))
    return module.emitError("the client's program has type ")
           << client << " vs (index) -> rows";
  auto state = std::make_unique<State>(module, weights, std::move(*plan),
                                       *programs, capacity);
  module.walk([&](PartialAttentionOp op) {
    state->hasFullMask |= op.getMask().getKind() == MaskKind::Full;
  });
  state->caches.resize(state->plan.nodes());
  return Partitioned(std::move(state));
}

template <typename T>
FailureOr<Tensor<T>> Partitioned<T>::step(const StepInput<T> &input,
                                          int64_t position, int64_t wanted) {
  ModuleOp module = state->module;
  int64_t rows = countRows<T>(input), end = position + rows;
  if (position < 0 || position > state->length)
    return module.emitError("C5: step at position ")
           << position << " vs 0 to " << state->length;
  if (position > 0 && state->hasFullMask)
    return module.emitError("C5: step at position ")
           << position
           << " vs 0: tokens of a bidirectional model see later ones";
  if (rows < 1 || end > state->capacity)
    return module.emitError("step of ")
           << rows << " rows at position " << position << " vs 1 to "
           << state->capacity - position;
  if (wanted < 0 || wanted > rows)
    return module.emitError("wanted rows: ") << wanted << " vs 0 to " << rows;

  const tokenset::Plan &plan = state->plan;
  for (Cache<T> &cache : state->caches)
    cache.truncate(position);
  // Client layers after the sharded ones see all rows.
  StepRows stepRows(plan, position, end, state->capacity,
                    plan.clientLast ? rows : wanted);
  Exchange<T> exchange{plan,   stepRows, input, position,
                       wanted, Baton(),  {},    state->listener};
  FailureOr<Tensor<T>> output = failure();
  auto program = [&](int index) {
    NodeName name = getNode(plan, index);
    int64_t self = name.role == Role::Comp ? name.comp
                   : name.role == Role::Attn
                       ? name.row * plan.keyShards() + name.column
                       : 0;
    Node<T> node(index, exchange, state->caches[index]);
    Evaluator<T> evaluator(module, state->weights, &node);
    FailureOr<Data<T>> results =
        evaluator.call(state->programs.get(name.role), {Datum<T>(self)});
    if (failed(results))
      return false;
    if (name.role == Role::Client)
      output = *std::get<TensorPtr<T>>(results->front());
    return true;
  };
  auto deadlock = [&](const std::vector<std::string> &waits) {
    InFlightDiagnostic diag =
        module.emitError("C6: the programs wait for one another");
    for (const std::string &wait : waits)
      diag.attachNote() << wait;
  };
  if (!exchange.baton.run(plan.nodes(), program, deadlock))
    return failure();
  if (!exchange.mailbox.empty()) {
    const auto &[route, layer, from, to] = exchange.mailbox.begin()->first;
    return module.emitError("C6: nobody receives what ")
           << plan.nodeName(from) << " sends to " << plan.nodeName(to)
           << " on route @" << route << " in layer " << layer;
  }
  state->length = end;
  return output;
}

namespace rshard::interpreter {
template class Partitioned<float>;
template class Partitioned<double>;
} // namespace rshard::interpreter
