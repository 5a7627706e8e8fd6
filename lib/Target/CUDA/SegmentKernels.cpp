//===- SegmentKernels.cpp - the kernels of a segment's steps --------------===//

#include "SegmentKernels.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rshard;
using cuda::KernelLibrary;
using cuda::SegmentKernels;

static Type elementOf(Value rows) {
  return cast<ShapedType>(rows.getType()).getElementType();
}

void cuda::emitChoice(
    OpBuilder &ops, Location loc, ArrayRef<KernelLibrary::Variant> variants,
    Value counted,
    function_ref<void(OpBuilder &, const KernelLibrary::Variant &)> emit) {
  if (variants.size() == 1)
    return emit(ops, variants.front());
  Value rows = memref::DimOp::create(ops, loc, counted, 0);
  Value most = arith::ConstantIndexOp::create(ops, loc, variants.front().rows);
  Value few =
      arith::CmpIOp::create(ops, loc, arith::CmpIPredicate::ule, rows, most);
  auto branch = scf::IfOp::create(ops, loc, few, /*withElseRegion=*/true);
  OpBuilder then = branch.getThenBodyBuilder();
  emit(then, variants.front());
  OpBuilder otherwise = branch.getElseBodyBuilder();
  emitChoice(otherwise, loc, variants.drop_front(), counted, emit);
}

void cuda::emitRun(OpBuilder &ops, Location loc, Value frame,
                   ArrayRef<KernelLibrary::Variant> variants, Value counted,
                   ValueRange arguments) {
  emitChoice(ops, loc, variants, counted,
             [&](OpBuilder &inner, const KernelLibrary::Variant &variant) {
               RunOp::create(inner, loc, variant.kernel, frame, arguments);
             });
}

static cuda::NormParams paramsOf(NormOp op) {
  auto type = cast<ShapedType>(op.getInput().getType());
  cuda::NormParams params;
  params.kind = op.getKind();
  params.width = type.getShape().back();
  params.heads = getRowWidth(type) / params.width;
  params.epsilon = op.getEps().convertToDouble();
  params.bias = !!op.getBias();
  params.element = type.getElementType();
  return params;
}

static bool canNormalise(NormOp norm) {
  return KernelLibrary::canNormalise(paramsOf(norm));
}

SegmentKernels::SegmentKernels(WeightSlots &weights, KernelLibrary &kernels,
                               ModuleOp module)
    : SegmentEmitter(weights), kernels(kernels), scales(module, canNormalise) {
  module.walk(
      [&](NormOp norm) { widest = std::max(widest, paramsOf(norm).width); });
}

/// What a step of linears computes.
static cuda::LinearParams paramsOf(const Step &step) {
  auto op = cast<LinearOp>(step.root);
  cuda::LinearParams params;
  params.inputs = getRowWidth(op.getInput());
  for (Value result : step.results())
    params.outputs.push_back(getRowWidth(result));
  params.element = elementOf(op.getInput());
  params.result = elementOf(step.result);
  params.activation = step.activation;
  params.bias = !!op.getBias();
  params.residual = !!step.residual;
  params.gated = isa<GatedOp>(step.op);
  if (NormOp norm = step.inputNorm)
    params.normEpsilon = paramsOf(norm).epsilon;
  params.factorsGiven = step.inputNorm && step.factorsGiven;
  params.sumsSquares = step.sumsSquares;
  if (isa<RopeOp>(step.op)) {
    params.rotation.emplace();
    for (Value result : step.results())
      if (result.getDefiningOp<RopeOp>()) {
        auto type = cast<ShapedType>(result.getType());
        params.rotation->heads += type.getDimSize(1);
        params.rotation->headSize = type.getDimSize(2);
      }
  }
  return params;
}

FusionRules SegmentKernels::fusionRules() const {
  FusionRules rules;
  rules.joinLinears = rules.joinRopes = true;
  rules.gatedLinears = 8;
  rules.rotatedLinears = 64;
  rules.whyNormStays = [this](NormOp norm) -> StringRef {
    if (!canNormalise(norm))
      return "no product has a kernel for it";
    return scales.canFold(norm) ? ""
                                : "the products' weights cannot hold its scale";
  };
  rules.sumsSquares = [this](const Step &step) {
    return kernels.canSumSquares(paramsOf(step));
  };
  rules.takesFactors = [this](const Step &step) {
    return kernels.pipelinesMany(paramsOf(step));
  };
  rules.readsPartial = [](const Step &step) {
    return KernelLibrary::canReadPartial(paramsOf(step));
  };
  return rules;
}

MemRefType SegmentKernels::squaresType() const {
  int64_t sums = widest / KernelLibrary::columnsPerSum;
  return MemRefType::get({ShapedType::kDynamic, sums},
                         Float32Type::get(ops.getContext()));
}

MemRefType SegmentKernels::factorsType() const {
  return MemRefType::get({ShapedType::kDynamic, 1},
                         Float32Type::get(ops.getContext()));
}

Value SegmentKernels::squares(Location loc, OpBuilder &at) {
  return asKernelView(
      at, loc, GetBufferOp::create(at, loc, squaresType(), frame, squaresName));
}

Value SegmentKernels::factors(Location loc, OpBuilder &at) {
  usesFactors = true;
  return asKernelView(
      at, loc, GetBufferOp::create(at, loc, factorsType(), frame, factorsName));
}

LogicalResult SegmentKernels::run(Location loc, SymbolRefAttr kernel,
                                  ValueRange arguments) {
  RunOp::create(ops, loc, kernel, frame, arguments);
  return success();
}

void SegmentKernels::emitCopy(Location loc, Value x, Value y) {
  (void)run(loc, kernels.activation(widthOf(y), std::nullopt, elementOf(y)),
            {x, y});
}

FailureOr<Value> SegmentKernels::weightOf(Operation *user, ValueRange values,
                                          Type element, bool gated,
                                          Value scale) {
  SmallVector<ParameterOp> parameters;
  int64_t rows = 0;
  SmallVector<int64_t> shape;
  for (Value value : values) {
    auto parameter = parameterOf(user, value);
    if (failed(parameter))
      return failure();
    parameters.push_back(*parameter);
    auto type = cast<ShapedType>(weights.weightOf(*parameter).getType());
    rows += type.getDimSize(0);
    shape.assign(type.getShape().begin(), type.getShape().end());
  }
  bool isVector = shape.size() == 1;
  shape[0] = rows;
  std::string pack = gated               ? "interleave8:" + elementName(element)
                     : values.size() > 1 ? "join:" + elementName(element)
                     : isVector          ? std::string("vector")
                                         : "rows:" + elementName(element);
  ParameterOp columns =
      scale ? scale.getDefiningOp<ParameterOp>() : ParameterOp();
  return getWeight(parameters, pack, MemRefType::get(shape, element), columns);
}

LogicalResult SegmentKernels::emit(const Step &step, Value y) {
  Location loc = step.op->getLoc();
  int64_t width = widthOf(step.result);
  Type element = elementOf(step.result);
  return llvm::TypeSwitch<Operation *, LogicalResult>(step.root)
      .Case([&](LinearOp) { return emitLinear(step, y); })
      .Case([&](EmbeddingOp) { return emitEmbedding(step, y); })
      .Case([&](NormOp) { return emitNorm(step, y); })
      .Case([&](RopeOp) { return emitRope(step); })
      .Case([&](ActivationOp op) {
        return run(loc, kernels.activation(width, op.getKind(), element),
                   {at(op.getInput()), y});
      })
      .Case([&](ConvertOp op) {
        return run(loc,
                   kernels.convert(width, elementOf(op.getInput()), element),
                   {at(op.getInput()), y});
      })
      .Case([&](GatedOp op) {
        return run(loc, kernels.gated(width, op.getKind(), element),
                   {at(op.getGate()), at(op.getUp()), y});
      })
      .Case([&](AddOp op) {
        return run(loc, kernels.add(width, element),
                   {at(op.getLhs()), at(op.getRhs()), y});
      })
      .Case([&](AddRowOp op) -> LogicalResult {
        auto row = vectorOf(op, op.getRow());
        if (failed(row))
          return failure();
        return run(loc, kernels.addRow(width, element),
                   {at(op.getInput()), *row, y});
      })
      .Case([&](HeadsOp op) {
        int64_t head = cast<ShapedType>(op.getResult().getType()).getDimSize(2);
        return run(loc,
                   kernels.columns(widthOf(op.getInput()),
                                   op.getRange()[0] * head, width, element),
                   {at(op.getInput()), y});
      })
      .Case([&](MergeOp) { return emitMerge(step, y); })
      .DefaultUnreachable("a segment's plan has steps of these ops only");
}

LogicalResult SegmentKernels::emitLinear(const Step &step, Value y) {
  auto op = cast<LinearOp>(step.root);
  LinearParams params = paramsOf(step);
  NormOp norm = step.inputNorm;
  SmallVector<Value> matrices{op.getWeight()}, biases{op.getBias()};
  for (Operation *part : step.others) {
    if (auto rope = dyn_cast<RopeOp>(part))
      part = rope.getInput().getDefiningOp();
    auto other = cast<LinearOp>(part);
    matrices.push_back(other.getWeight());
    biases.push_back(other.getBias());
  }
  auto weight = weightOf(op, matrices, params.element, params.gated,
                         norm ? norm.getScale() : Value());
  if (failed(weight))
    return failure();
  SmallVector<Value> arguments{at(op.getInput()), *weight};
  if (params.bias) {
    auto bias = weightOf(op, biases, ops.getF32Type(), params.gated);
    if (failed(bias))
      return failure();
    arguments.push_back(*bias);
  }
  if (step.residual)
    arguments.push_back(at(step.residual));
  SmallVector<Value> behind;
  for (Value result : step.results())
    behind.push_back(at(result));
  Location loc = step.op->getLoc();
  MergeOp merge = step.inputMerge;
  SmallVector<Value> onePartial(arguments);
  llvm::append_range(onePartial, behind);
  if (merge)
    onePartial.append({at(merge.getOutput()), at(merge.getSource())});
  if (norm)
    behind.push_back(at(norm.getInput()));
  if (params.factorsGiven)
    behind.push_back(factors(loc, ops));
  if (params.sumsSquares)
    behind.push_back(squares(loc, ops));
  if (isa<RopeOp>(step.op))
    return emitRotated(step, params, arguments, behind);
  llvm::append_range(arguments, behind);
  if (!merge) {
    emitRun(ops, loc, frame, kernels.linear(params), y, arguments);
    return success();
  }
  auto branch = scf::IfOp::create(ops, loc, needsMerge(merge),
                                  /*withElseRegion=*/true);
  OpBuilder then = branch.getThenBodyBuilder();
  emitRun(then, loc, frame, kernels.linear(params), y, arguments);
  params.partial = elementOf(merge.getOutput());
  OpBuilder otherwise = branch.getElseBodyBuilder();
  RunOp::create(otherwise, loc, kernels.linearOfPartial(params), frame,
                onePartial);
  return success();
}

Value SegmentKernels::needsMerge(MergeOp merge) {
  Location loc = merge.getLoc();
  Value one = arith::ConstantIndexOp::create(ops, loc, 1);
  auto isNotOne = [&](Value list) -> Value {
    Value size = memref::DimOp::create(ops, loc, at(list), 0);
    return arith::CmpIOp::create(ops, loc, arith::CmpIPredicate::ne, size, one);
  };
  return arith::OrIOp::create(ops, loc, isNotOne(merge.getResult()),
                              isNotOne(merge.getSource()));
}

/// Linears and the rotation of the first of them. Variants that do not rotate
/// leave it to a kernel behind them. Their operands are those in front of what
/// rotates, and those behind.
LogicalResult SegmentKernels::emitRotated(const Step &step,
                                          const LinearParams &params,
                                          ValueRange front, ValueRange behind) {
  auto rope = cast<RopeOp>(step.op);
  Location loc = rope.getLoc();
  auto angles = getRotary(rope);
  if (failed(angles))
    return failure();
  SmallVector<int64_t> heads;
  SmallVector<Value> rotated;
  for (Value result : step.results())
    if (result.getDefiningOp<RopeOp>()) {
      rotated.push_back(at(result));
      heads.push_back(cast<ShapedType>(result.getType()).getDimSize(1));
    }
  int64_t headSize = params.rotation->headSize;
  Value turns[] = {at(rope.getPositions()), *angles};
  emitChoice(ops, loc, kernels.linear(params), rotated.front(),
             [&](OpBuilder &inner, const KernelLibrary::Variant &variant) {
               SmallVector<Value> arguments(front);
               if (variant.rotates)
                 arguments.append(turns, std::end(turns));
               llvm::append_range(arguments, behind);
               RunOp::create(inner, loc, variant.kernel, frame, arguments);
               if (variant.rotates)
                 return;
               arguments = rotated;
               arguments.append(turns, std::end(turns));
               arguments.append(rotated);
               RunOp::create(inner, loc,
                             kernels.rope(heads, headSize, params.element),
                             frame, arguments);
             });
  return success();
}

LogicalResult SegmentKernels::emitEmbedding(const Step &step, Value y) {
  auto op = cast<EmbeddingOp>(step.root);
  EmbedParams params;
  params.width = widthOf(op.getResult());
  params.table = params.element = elementOf(step.result);
  params.constant = !!step.constant;
  params.accumulate = !!step.residual;
  auto table = weightOf(op, op.getTable(), params.table);
  if (failed(table))
    return failure();
  Location loc = step.op->getLoc();
  // The kernel adds to what is in y.
  if (step.residual && !sameStorage(step.residual, step.result))
    emitCopy(loc, at(step.residual), y);
  SmallVector<Value> arguments{at(op.getIds()), *table};
  if (step.constant) {
    auto row = vectorOf(step.op, step.constant);
    if (failed(row))
      return failure();
    arguments.push_back(*row);
  }
  arguments.push_back(y);
  return run(loc, kernels.embed(params), arguments);
}

LogicalResult SegmentKernels::emitNorm(const Step &step, Value y) {
  auto op = cast<NormOp>(step.op);
  NormParams params = paramsOf(op);
  params.scale = !step.leftToReaders; // else their weights hold it
  SmallVector<Value> arguments{at(op.getInput())};
  if (params.scale) {
    auto scale = vectorOf(op, op.getScale());
    if (failed(scale))
      return failure();
    arguments.push_back(*scale);
  }
  if (op.getBias()) {
    auto bias = vectorOf(op, op.getBias());
    if (failed(bias))
      return failure();
    arguments.push_back(*bias);
  }
  arguments.push_back(y);
  SymbolRefAttr kernel = kernels.norm(params);
  Location loc = op.getLoc();
  if (!step.leftToReaders)
    return run(loc, kernel, arguments);
  // Products of few rows do it as they read them.
  Value rows = memref::DimOp::create(ops, loc, y, 0);
  auto above = [&](OpBuilder &at, int64_t bound, bool otherwise) {
    Value most = arith::ConstantIndexOp::create(at, loc, bound);
    Value more =
        arith::CmpIOp::create(at, loc, arith::CmpIPredicate::ugt, rows, most);
    return scf::IfOp::create(at, loc, more, otherwise);
  };
  auto branch = above(ops, KernelLibrary::rowsNormalised, false);
  OpBuilder inner = branch.getThenBodyBuilder();
  if (step.factorsGiven) {
    // Those of many rows want factors alone.
    auto many = above(inner, KernelLibrary::rowsWithoutFactors, true);
    OpBuilder then = many.getThenBodyBuilder();
    RunOp::create(then, loc, kernels.normFactors(params.width, params.epsilon),
                  frame, ValueRange{squares(loc, then), factors(loc, then)});
    inner = many.getElseBodyBuilder();
  }
  RunOp::create(inner, loc, kernel, frame, arguments);
  return success();
}

LogicalResult SegmentKernels::emitMerge(const Step &step, Value y) {
  auto op = cast<MergeOp>(step.op);
  Location loc = op.getLoc();
  auto type = cast<ShapedType>(op.getResult().getType());
  SymbolRefAttr kernel =
      kernels.merge(type.getDimSize(1), type.getDimSize(2),
                    elementOf(op.getOutput()), type.getElementType());
  Value arguments[] = {at(op.getOutput()), at(op.getLse()), at(op.getBegin()),
                       at(op.getSource()), y};
  if (!step.leftToReaders)
    return run(loc, kernel, arguments);
  auto branch = scf::IfOp::create(ops, loc, needsMerge(op),
                                  /*withElseRegion=*/false);
  OpBuilder then = branch.getThenBodyBuilder();
  RunOp::create(then, loc, kernel, frame, arguments);
  return success();
}

LogicalResult SegmentKernels::emitRope(const Step &step) {
  auto op = cast<RopeOp>(step.op);
  auto type = cast<ShapedType>(op.getInput().getType());
  auto angles = getRotary(op);
  if (failed(angles))
    return failure();
  SmallVector<int64_t> heads;
  SmallVector<Value> inputs, outputs;
  for (Value result : step.results()) {
    auto rope = result.getDefiningOp<RopeOp>();
    heads.push_back(cast<ShapedType>(result.getType()).getDimSize(1));
    inputs.push_back(at(rope.getInput()));
    outputs.push_back(at(result));
  }
  SmallVector<Value> arguments = inputs;
  arguments.append({at(op.getPositions()), *angles});
  arguments.append(outputs);
  return run(op.getLoc(),
             kernels.rope(heads, type.getDimSize(2), type.getElementType()),
             arguments);
}
