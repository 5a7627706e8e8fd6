//===- ModelBuilder.cpp - ops and weights of one model --------------------===//

#include "ModelBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace rshard;

ModelBuilder::ModelBuilder(Config &config, const Tensors *tensors)
    : config(config), tensors(tensors),
      builder(config.getReport().getContext()),
      unknown(builder.getUnknownLoc()), module(ModuleOp::create(unknown)) {}

RankedTensorType ModelBuilder::getRows(ArrayRef<int64_t> row) {
  SmallVector<int64_t> shape = {ShapedType::kDynamic};
  shape.append(row.begin(), row.end());
  return RankedTensorType::get(shape, builder.getF32Type());
}

MaskAttr ModelBuilder::getMask(MaskKind kind, int64_t window) {
  return MaskAttr::get(builder.getContext(), kind, window);
}

//===----------------------------------------------------------------------===//
// Program
//===----------------------------------------------------------------------===//

void ModelBuilder::build(
    int64_t hidden, ArrayRef<Attention> attention,
    llvm::function_ref<Value(Value tokens)> head,
    llvm::function_ref<Value(Value rows, const Attention &)> body,
    llvm::function_ref<Value(Value rows)> tail) {
  layers = attention.size();
  Type rows = getRows({hidden});
  Type ids =
      RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type());

  SmallVector<Attention> distinct;
  SmallVector<int32_t> order;
  for (const Attention &one : attention) {
    auto *found = llvm::find(distinct, one);
    order.push_back(found - distinct.begin());
    if (found == distinct.end())
      distinct.push_back(one);
  }

  // Functions are built in the order in which they run, so that declarations
  // come in that order too; main is moved behind the layers at the end.
  auto begin = [&](const Twine &name, ArrayRef<Type> arguments) {
    builder.setInsertionPointToEnd(module->getBody());
    auto function = func::FuncOp::create(
        builder, unknown, name.str(), builder.getFunctionType(arguments, {}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    return function;
  };
  auto end = [&](func::FuncOp function, Value result) {
    func::ReturnOp::create(builder, unknown, result);
    function.setType(builder.getFunctionType(function.getArgumentTypes(),
                                             {result.getType()}));
  };

  func::FuncOp main = begin("main", {ids, ids});
  layer = {};
  positions = main.getArgument(1);
  Value x = head(main.getArgument(0));
  OpBuilder::InsertPoint rest = builder.saveInsertionPoint();

  SmallVector<Attribute> kinds;
  for (auto [index, one] : llvm::enumerate(distinct)) {
    std::string name = "decoder";
    if (one.mask.getKind() == MaskKind::Full)
      name = "encoder";
    if (distinct.size() > 1)
      name += std::to_string(index);
    func::FuncOp function = begin(name, {builder.getIndexType(), rows, ids});
    function.setPrivate();
    layer = function.getArgument(0);
    positions = function.getArgument(2);
    end(function, body(function.getArgument(1), one));
    kinds.push_back(FlatSymbolRefAttr::get(function.getSymNameAttr()));
  }

  builder.restoreInsertionPoint(rest);
  layer = {};
  positions = main.getArgument(1);
  x = LayersOp::create(builder, unknown, x.getType(),
                       builder.getArrayAttr(kinds),
                       builder.getDenseI32ArrayAttr(order), x, positions);
  end(main, tail(x));
  main->moveBefore(module->getBody(), module->getBody()->end());
}

void ModelBuilder::setRotary(const Rotary &rotary) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(module->getBody());
  if (lastDeclaration)
    builder.setInsertionPointAfter(lastDeclaration);
  lastDeclaration =
      RotaryOp::create(builder, unknown, builder.getStringAttr("rope"),
                       builder.getDenseF64ArrayAttr(rotary.frequencies),
                       builder.getF64FloatAttr(rotary.scale));
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

Value ModelBuilder::parameter(StringRef symbol, StringRef tensor,
                              ArrayRef<int64_t> shape,
                              const WeightStorage &storage) {
  RankedTensorType type = declare(symbol, tensor, shape, storage);
  bool perLayer = tensor.contains("{}");
  return ParameterOp::create(builder, unknown, type, symbol,
                             perLayer ? layer : Value());
}

Value ModelBuilder::embed(Value ids, const Module &table, int64_t size,
                          int64_t width) {
  Value weight =
      parameter((table.symbol + ".weight").str(),
                (table.tensor + ".weight").str(), {size, width}, table.storage);
  return EmbeddingOp::create(builder, unknown, getRows({width}), ids, weight);
}

Value ModelBuilder::embedTokens(Value tokens, const Module &table, int64_t size,
                                int64_t width) {
  return embed(tokens, table, size, width);
}

Value ModelBuilder::embedPositions(const Module &table, int64_t size,
                                   int64_t width) {
  return embed(positions, table, size, width);
}

Value ModelBuilder::linear(Value x, const Module &module,
                           ArrayRef<int64_t> row) {
  RankedTensorType type = getRows(row);
  int64_t width = getRowWidth(type);
  int64_t columns = getRowWidth(cast<ShapedType>(x.getType()));
  Value weight = parameter((module.symbol + ".weight").str(),
                           (module.tensor + ".weight").str(), {width, columns},
                           module.storage);
  Value bias;
  if (module.bias) {
    WeightStorage storage;
    storage.rows = module.storage.rows;
    bias = parameter((module.symbol + ".bias").str(),
                     (module.tensor + ".bias").str(), {width}, storage);
  }
  return LinearOp::create(builder, unknown, type, x, weight, bias);
}

Value ModelBuilder::norm(NormKind kind, Value x, const Module &module,
                         double eps) {
  int64_t size = cast<ShapedType>(x.getType()).getShape().back();
  // Checkpoints converted from TensorFlow call them gamma and beta.
  bool old = !hasTensor((module.tensor + ".weight").str()) &&
             hasTensor((module.tensor + ".gamma").str());
  Value scale = parameter((module.symbol + ".weight").str(),
                          (module.tensor + (old ? ".gamma" : ".weight")).str(),
                          {size}, {});
  Value bias;
  if (module.bias)
    bias = parameter((module.symbol + ".bias").str(),
                     (module.tensor + (old ? ".beta" : ".bias")).str(), {size},
                     {});
  return NormOp::create(builder, unknown, x.getType(), kind, x, scale, bias,
                        llvm::APFloat(eps));
}

Value ModelBuilder::addRow(Value x, const Module &module) {
  Value row = parameter(
      (module.symbol + ".weight").str(), (module.tensor + ".weight").str(),
      {getRowWidth(cast<ShapedType>(x.getType()))}, module.storage);
  return AddRowOp::create(builder, unknown, x.getType(), x, row);
}

Value ModelBuilder::rope(Value x) {
  return RopeOp::create(builder, unknown, x.getType(), x, positions, "rope");
}

Value ModelBuilder::attention(Value query, Value key, Value value,
                              const Attention &attention) {
  return AttentionOp::create(builder, unknown, query.getType(), query, key,
                             value, attention.mask,
                             builder.getF64FloatAttr(attention.scale),
                             FloatAttr(), FlatSymbolRefAttr());
}

Value ModelBuilder::add(Value lhs, Value rhs) {
  return AddOp::create(builder, unknown, lhs.getType(), lhs, rhs);
}

Value ModelBuilder::activation(Activation kind, Value x) {
  return ActivationOp::create(builder, unknown, x.getType(), kind, x);
}

Value ModelBuilder::gated(Activation kind, Value gate, Value up) {
  return GatedOp::create(builder, unknown, up.getType(), kind, gate, up);
}
