//===- Evaluator.cpp - runs functions of the IR, op by op -----------------===//

#include "Evaluator.h"
#include "Kernels.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "rshard/Plan/PlanSymbols.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rshard;
using namespace rshard::interpreter;

/// Calls nest three deep in what the compiler emits.
static constexpr int kDepthLimit = 16;

template <typename T> NodeContext<T>::~NodeContext() = default;

template <typename T>
FailureOr<TensorPtr<T>> WeightStore<T>::get(WeightOp op, int64_t layer) {
  if (!op.getLayers())
    layer = -1;
  else if (layer < (*op.getLayers())[0] || layer >= (*op.getLayers())[1])
    return op.emitOpError("of layer ")
           << layer << " vs layers [" << *op.getLayers() << ")";
  TensorPtr<T> &tensor = kept[{op.getSymName().str(), layer}];
  if (!tensor) {
    FailureOr<std::vector<double>> values = provider.read(op, layer);
    if (failed(values))
      return failure();
    auto type = cast<RankedTensorType>(op.getType());
    Tensor<T> filled(std::vector<int64_t>(type.getShape()));
    llvm::copy(*values, filled.values.begin());
    tensor = std::make_shared<const Tensor<T>>(std::move(filled));
  }
  return tensor;
}

//===----------------------------------------------------------------------===//
// Functions and control flow
//===----------------------------------------------------------------------===//

template <typename T>
FailureOr<Data<T>> Evaluator<T>::call(func::FuncOp func,
                                      ArrayRef<Datum<T>> arguments) {
  if (func.isExternal())
    return func.emitOpError("has no body to interpret");
  if (depth == kDepthLimit)
    return func.emitOpError("calls nest more than ") << kDepthLimit << " deep";
  ++depth;
  Frame frame;
  for (auto [argument, datum] : llvm::zip(func.getArguments(), arguments))
    frame[argument] = datum;
  FailureOr<Data<T>> results = run(func.getBody().front(), frame);
  --depth;
  return results;
}

template <typename T>
FailureOr<Data<T>> Evaluator<T>::run(Block &block, Frame &frame) {
  for (Operation &op : block) {
    if (op.hasTrait<OpTrait::IsTerminator>()) {
      if (!isa<func::ReturnOp, scf::YieldOp>(op))
        return op.emitOpError("is not known to the interpreter");
      Data<T> results;
      for (Value operand : op.getOperands())
        results.push_back(frame.at(operand));
      return results;
    }
    if (failed(evaluate(&op, frame)))
      return failure();
  }
  return Data<T>();
}

template <typename T>
LogicalResult Evaluator<T>::bind(Operation *op, Frame &frame,
                                 const FailureOr<Data<T>> &results) {
  if (failed(results))
    return failure();
  for (auto [result, datum] : llvm::zip(op->getResults(), *results))
    frame[result] = datum;
  return success();
}

template <typename T>
LogicalResult Evaluator<T>::evaluate(Operation *op, Frame &frame) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<arith::ConstantOp, arith::AddIOp, arith::SubIOp, arith::MulIOp,
            scf::ForOp, scf::IndexSwitchOp, func::CallOp, LayerKindOp,
            LayersOp>([&](auto) { return control(op, frame); })
      .template Case<ParameterOp, EmbeddingOp, AddOp, AddRowOp, NormOp,
                     LinearOp, RopeOp, ActivationOp, GatedOp, ConvertOp,
                     HeadsOp>([&](auto) { return tokenWise(op, frame); })
      .template Case<AttentionOp, PartialAttentionOp, MergeOp>(
          [&](auto) { return attention(op, frame); })
      .template Case<TokensOp, RowsOp, PositionsOp, WantedOp, SendOp, ReceiveOp,
                     AppendOp>([&](auto) { return program(op, frame); })
      .Default([](Operation *other) {
        return other->emitOpError("is not known to the interpreter");
      });
}

template <typename T>
LogicalResult Evaluator<T>::control(Operation *op, Frame &frame) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](arith::ConstantOp constant) -> LogicalResult {
        auto value = dyn_cast<IntegerAttr>(constant.getValue());
        if (!value)
          return op->emitOpError("is no integer: the interpreter has no other "
                                 "constants");
        frame[constant] = value.getInt();
        return success();
      })
      .Case([&](arith::AddIOp add) {
        frame[add] = index(frame, add.getLhs()) + index(frame, add.getRhs());
        return success();
      })
      .Case([&](arith::SubIOp sub) {
        frame[sub] = index(frame, sub.getLhs()) - index(frame, sub.getRhs());
        return success();
      })
      .Case([&](arith::MulIOp mul) {
        frame[mul] = index(frame, mul.getLhs()) * index(frame, mul.getRhs());
        return success();
      })
      .Case([&](scf::ForOp loop) -> LogicalResult {
        Data<T> carried;
        for (Value initial : loop.getInitArgs())
          carried.push_back(frame.at(initial));
        int64_t end = index(frame, loop.getUpperBound());
        int64_t step = index(frame, loop.getStep());
        if (step < 1)
          return loop.emitOpError("step: ") << step << " vs at least 1";
        for (int64_t i = index(frame, loop.getLowerBound()); i < end;
             i += step) {
          frame[loop.getInductionVar()] = i;
          for (auto [argument, datum] :
               llvm::zip(loop.getRegionIterArgs(), carried))
            frame[argument] = datum;
          FailureOr<Data<T>> next = run(*loop.getBody(), frame);
          if (failed(next))
            return failure();
          carried = std::move(*next);
        }
        return bind(op, frame, carried);
      })
      .Case([&](scf::IndexSwitchOp select) {
        int64_t choice = index(frame, select.getArg());
        Block *block = &select.getDefaultBlock();
        for (auto [number, value] : llvm::enumerate(select.getCases()))
          if (value == choice)
            block = &select.getCaseBlock(number);
        return bind(op, frame, run(*block, frame));
      })
      .Case([&](func::CallOp callee) {
        Data<T> arguments;
        for (Value operand : callee.getOperands())
          arguments.push_back(frame.at(operand));
        // That it is there is checked by the call's verifier.
        auto func = symbols.lookup<func::FuncOp>(callee.getCallee());
        return bind(op, frame, call(func, arguments));
      })
      .Case([&](LayerKindOp kind) -> LogicalResult {
        int64_t layer = index(frame, kind.getLayer());
        if (layer < 0 || layer >= static_cast<int64_t>(kind.getKinds().size()))
          return kind.emitOpError("layer: ")
                 << layer << " vs 0 to " << kind.getKinds().size() - 1;
        frame[kind] = static_cast<int64_t>(kind.getKinds()[layer]);
        return success();
      })
      .Case([&](LayersOp layers) -> LogicalResult {
        Datum<T> rows = frame.at(layers.getInput());
        for (auto [layer, kind] : llvm::enumerate(layers.getOrder())) {
          auto name = cast<FlatSymbolRefAttr>(layers.getKinds()[kind]);
          Data<T> arguments = {static_cast<int64_t>(layer), rows,
                               frame.at(layers.getPositions())};
          FailureOr<Data<T>> results =
              call(symbols.lookup<func::FuncOp>(name.getValue()), arguments);
          if (failed(results))
            return failure();
          rows = results->front();
        }
        frame[layers] = rows;
        return success();
      });
}

//===----------------------------------------------------------------------===//
// Token-wise operations
//===----------------------------------------------------------------------===//

template <typename T>
LogicalResult Evaluator<T>::checkRows(Operation *op, const Frame &frame,
                                      ValueRange values) {
  std::optional<int64_t> rows;
  for (Value value : values) {
    const Datum<T> &datum = frame.find(value)->second;
    int64_t count = std::holds_alternative<IdsPtr>(datum)
                        ? std::get<IdsPtr>(datum)->size()
                        : std::get<TensorPtr<T>>(datum)->rows();
    if (rows && *rows != count)
      return op->emitOpError("rows: ") << count << " vs " << *rows;
    rows = count;
  }
  return success();
}

/// Zeros of a result's type with `rows` rows.
template <typename T> static Tensor<T> makeRows(Value result, int64_t rows) {
  std::vector<int64_t> shape(
      cast<RankedTensorType>(result.getType()).getShape());
  shape[0] = rows;
  return Tensor<T>(std::move(shape));
}

template <typename T>
LogicalResult Evaluator<T>::tokenWise(Operation *op, Frame &frame) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](ParameterOp parameter) -> LogicalResult {
        auto weight = symbols.lookup<WeightOp>(parameter.getWeight());
        int64_t layer =
            parameter.getLayer() ? index(frame, parameter.getLayer()) : -1;
        FailureOr<TensorPtr<T>> value = weights.get(weight, layer);
        if (failed(value))
          return failure();
        frame[parameter] = *value;
        return success();
      })
      .Case([&](EmbeddingOp embedding) -> LogicalResult {
        const Ids &rows = ids(frame, embedding.getIds());
        const Tensor<T> &table = *tensor(frame, embedding.getTable());
        auto y = makeRows<T>(embedding, rows.size());
        for (size_t t = 0; t < rows.size(); ++t) {
          if (rows[t] < 0 || rows[t] >= table.rows())
            return embedding.emitOpError("id ")
                   << rows[t] << " vs 0 to " << table.rows() - 1;
          std::copy_n(table.row(rows[t]), table.width(), y.row(t));
        }
        set(frame, embedding, std::move(y));
        return success();
      })
      .Case([&](ConvertOp convert) {
        // Values are of type T whatever the rows' element type says.
        frame[convert] = frame.at(convert.getInput());
        return success();
      })
      .Case([&](HeadsOp heads) {
        const Tensor<T> &x = *tensor(frame, heads.getInput());
        auto y = makeRows<T>(heads, x.rows());
        int64_t first = heads.getRange()[0] * x.shape[2];
        for (int64_t t = 0; t < y.rows(); ++t)
          std::copy_n(x.row(t) + first, y.width(), y.row(t));
        set(frame, heads, std::move(y));
        return success();
      })
      .Case([&](AddOp add) -> LogicalResult {
        if (failed(checkRows(op, frame, op->getOperands())))
          return failure();
        Tensor<T> y = *tensor(frame, add.getLhs());
        const Tensor<T> &rhs = *tensor(frame, add.getRhs());
        for (size_t i = 0; i < y.values.size(); ++i)
          y.values[i] += rhs.values[i];
        set(frame, add, std::move(y));
        return success();
      })
      .Case([&](AddRowOp add) {
        Tensor<T> y = *tensor(frame, add.getInput());
        const Tensor<T> &row = *tensor(frame, add.getRow());
        for (int64_t t = 0; t < y.rows(); ++t)
          for (int64_t i = 0; i < y.width(); ++i)
            y.row(t)[i] += row.values[i];
        set(frame, add, std::move(y));
        return success();
      })
      .Case([&](NormOp norm) {
        set(frame, norm,
            normalize<T>(norm.getKind(), *tensor(frame, norm.getInput()),
                         *tensor(frame, norm.getScale()),
                         norm.getBias() ? tensor(frame, norm.getBias()).get()
                                        : nullptr,
                         norm.getEps().convertToDouble()));
        return success();
      })
      .Case([&](LinearOp product) {
        const Tensor<T> &x = *tensor(frame, product.getInput());
        auto y = makeRows<T>(product, x.rows());
        linear<T>(x, *tensor(frame, product.getWeight()),
                  product.getBias() ? tensor(frame, product.getBias()).get()
                                    : nullptr,
                  y);
        set(frame, product, std::move(y));
        return success();
      })
      .Case([&](RopeOp rope) -> LogicalResult {
        if (failed(checkRows(op, frame, op->getOperands())))
          return failure();
        auto rotary = symbols.lookup<RotaryOp>(rope.getRotary());
        set(frame, rope,
            rotate<T>(*tensor(frame, rope.getInput()),
                      ids(frame, rope.getPositions()), rotary.getFrequencies(),
                      rotary.getScale().convertToDouble()));
        return success();
      })
      .Case([&](ActivationOp activation) {
        Tensor<T> y = *tensor(frame, activation.getInput());
        for (T &value : y.values)
          value = activate(activation.getKind(), value);
        set(frame, activation, std::move(y));
        return success();
      })
      .Case([&](GatedOp gated) -> LogicalResult {
        if (failed(checkRows(op, frame, op->getOperands())))
          return failure();
        Tensor<T> y = *tensor(frame, gated.getGate());
        const Tensor<T> &up = *tensor(frame, gated.getUp());
        for (size_t i = 0; i < y.values.size(); ++i)
          y.values[i] = activate(gated.getKind(), y.values[i]) * up.values[i];
        set(frame, gated, std::move(y));
        return success();
      });
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// The soft cap of the scores, 0 for none.
template <typename Attention> static double capOf(Attention op) {
  std::optional<APFloat> cap = op.getSoftCap();
  return cap ? cap->convertToDouble() : 0.0;
}

template <typename T>
LogicalResult Evaluator<T>::attention(Operation *op, Frame &frame) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](AttentionOp whole) -> LogicalResult {
        const Tensor<T> &query = *tensor(frame, whole.getQuery());
        if (failed(checkRows(op, frame, op->getOperands())))
          return failure();
        if (!rowPositions ||
            static_cast<int64_t>(rowPositions->size()) != query.rows())
          return op->emitOpError("runs on ")
                 << query.rows() << " rows vs "
                 << (rowPositions ? rowPositions->size() : 0) << " positions";
        set(frame, whole,
            attend<T>(query, *rowPositions, *tensor(frame, whole.getKey()),
                      *tensor(frame, whole.getValue()), *rowPositions,
                      getMask(whole.getMask()),
                      whole.getScale().convertToDouble(), capOf(whole))
                .output);
        return success();
      })
      .Case([&](PartialAttentionOp part) -> LogicalResult {
        if (failed(checkRows(op, frame,
                             {part.getQuery(), part.getQueryPositions()})) ||
            failed(checkRows(
                op, frame,
                {part.getKey(), part.getValue(), part.getKeyPositions()})))
          return failure();
        Partial<T> result = attend<T>(
            *tensor(frame, part.getQuery()),
            ids(frame, part.getQueryPositions()), *tensor(frame, part.getKey()),
            *tensor(frame, part.getValue()), ids(frame, part.getKeyPositions()),
            getMask(part.getMask()), part.getScale().convertToDouble(),
            capOf(part));
        set(frame, part.getOutput(), std::move(result.output));
        set(frame, part.getLse(), std::move(result.lse));
        return success();
      })
      .Case([&](MergeOp merged) -> LogicalResult {
        if (failed(checkRows(op, frame, {merged.getOutput(), merged.getLse()})))
          return failure();
        const Ids &begin = ids(frame, merged.getBegin());
        const Ids &source = ids(frame, merged.getSource());
        Partial<T> partials{*tensor(frame, merged.getOutput()),
                            *tensor(frame, merged.getLse())};
        int64_t rows = static_cast<int64_t>(begin.size()) - 1;
        if (rows < 0)
          return op->emitOpError("begin: 0 entries vs one more than rows");
        Partial<T> result{makeRows<T>(merged, rows),
                          Tensor<T>({rows, partials.lse.width()})};
        for (int64_t t = 0; t < rows; ++t) {
          if (begin[t] < 0 || begin[t] > begin[t + 1] ||
              begin[t + 1] > static_cast<int64_t>(source.size()))
            return op->emitOpError("row ")
                   << t << " begins at " << begin[t] << " and ends at "
                   << begin[t + 1] << " vs " << source.size() << " sources";
          SmallVector<int64_t> sources(source.begin() + begin[t],
                                       source.begin() + begin[t + 1]);
          for (int64_t i : sources)
            if (i < 0 || i >= partials.output.rows())
              return op->emitOpError("source ")
                     << i << " vs " << partials.output.rows() << " partials";
          merge<T>(partials, sources, result, t);
        }
        set(frame, merged, std::move(result.output));
        return success();
      });
}

//===----------------------------------------------------------------------===//
// Programs of nodes
//===----------------------------------------------------------------------===//

template <typename T>
LogicalResult Evaluator<T>::program(Operation *op, Frame &frame) {
  if (!node)
    return op->emitOpError("needs a node: the model phase has none");
  auto bindIds = [&](FailureOr<Ids> result) -> LogicalResult {
    if (failed(result))
      return failure();
    frame[op->getResult(0)] = std::make_shared<const Ids>(std::move(*result));
    return success();
  };
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](TokensOp tokens) { return bindIds(node->tokens(tokens)); })
      .Case([&](RowsOp given) -> LogicalResult {
        FailureOr<TensorPtr<T>> rows = node->rows(given);
        if (failed(rows))
          return failure();
        frame[given] = *rows;
        return success();
      })
      .Case([&](PositionsOp positions) {
        return bindIds(
            node->positions(positions, index(frame, positions.getSelf())));
      })
      .Case([&](WantedOp wanted) -> LogicalResult {
        FailureOr<TensorPtr<T>> rows =
            node->wanted(wanted, tensor(frame, wanted.getRows()));
        if (failed(rows))
          return failure();
        frame[wanted] = *rows;
        return success();
      })
      .Case([&](SendOp send) {
        SmallVector<TensorPtr<T>> rows;
        for (Value value : send.getRows())
          rows.push_back(tensor(frame, value));
        return node->send(send, index(frame, send.getLayer()), rows);
      })
      .Case([&](ReceiveOp receive) {
        return bind(op, frame,
                    node->receive(receive, index(frame, receive.getLayer())));
      })
      .Case([&](AppendOp append) -> LogicalResult {
        if (failed(checkRows(
                op, frame,
                {append.getKey(), append.getValue(), append.getPositions()})))
          return failure();
        return bind(op, frame,
                    node->append(append, index(frame, append.getLayer()),
                                 *tensor(frame, append.getKey()),
                                 *tensor(frame, append.getValue()),
                                 ids(frame, append.getPositions())));
      });
}

namespace rshard::interpreter {
template class WeightStore<float>;
template class WeightStore<double>;
template class NodeContext<float>;
template class NodeContext<double>;
template class Evaluator<float>;
template class Evaluator<double>;
} // namespace rshard::interpreter
