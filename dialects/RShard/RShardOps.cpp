//===- RShardOps.cpp - verifiers of the model phase -----------------------===//

#include "RShard/FloatRange.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace rshard;

/// `[first, last)`.
static ParseResult parseRange(OpAsmParser &parser, DenseI64ArrayAttr &range) {
  int64_t bounds[2];
  if (parser.parseLSquare() || parser.parseInteger(bounds[0]) ||
      parser.parseComma() || parser.parseInteger(bounds[1]) ||
      parser.parseRParen())
    return failure();
  range = parser.getBuilder().getDenseI64ArrayAttr(bounds);
  return success();
}

static void printRange(OpAsmPrinter &printer, Operation *,
                       DenseI64ArrayAttr range) {
  printer << "[" << range[0] << ", " << range[1] << ")";
}

/// A case of an enumeration, without the attribute's name.
template <typename AttrT>
static ParseResult parseKeyword(OpAsmParser &parser, AttrT &attr) {
  using Enum = decltype(attr.getValue());
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<Enum> value = symbolizeEnum<Enum>(keyword);
  if (!value) {
    SmallVector<StringRef> cases;
    for (uint32_t i = 0;; ++i) {
      cases.push_back(stringifyEnum(static_cast<Enum>(i)));
      if (cases.back().empty())
        break;
    }
    cases.pop_back();
    return parser.emitError(loc, "'")
           << keyword << "' vs one of " << llvm::join(cases, ", ");
  }
  attr = AttrT::get(parser.getContext(), *value);
  return success();
}

template <typename AttrT>
static void printKeyword(OpAsmPrinter &printer, Operation *, AttrT attr) {
  printer << stringifyEnum(attr.getValue());
}

/// `[1.0, 0.1]`. Upstream prints arrays of doubles with seven digits: angles at
/// large positions would change with every round trip.
static ParseResult parseFrequencies(OpAsmParser &parser,
                                    DenseF64ArrayAttr &frequencies) {
  SmallVector<double> values;
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
        return parser.parseFloat(values.emplace_back());
      }))
    return failure();
  frequencies = parser.getBuilder().getDenseF64ArrayAttr(values);
  return success();
}

static void printFrequencies(OpAsmPrinter &printer, Operation *,
                             DenseF64ArrayAttr frequencies) {
  printer << "[";
  llvm::interleaveComma(
      frequencies.asArrayRef(), printer.getStream(),
      [&](double value) { printer.printFloat(llvm::APFloat(value)); });
  printer << "]";
}

/// `rows, positions`, and `-> rows` where the layers return rows of another
/// type.
static ParseResult parseLayerTypes(OpAsmParser &parser, Type &input,
                                   Type &positions, Type &result) {
  if (parser.parseType(input) || parser.parseComma() ||
      parser.parseType(positions))
    return failure();
  result = input;
  if (succeeded(parser.parseOptionalArrow()))
    return parser.parseType(result);
  return success();
}

static void printLayerTypes(OpAsmPrinter &printer, Operation *, Type input,
                            Type positions, Type result) {
  printer << input << ", " << positions;
  if (result != input)
    printer << " -> " << result;
}

#define GET_OP_CLASSES
#include "RShard/RShardOps.cpp.inc"

LogicalResult rshard::verifyPositive(Operation *op, StringRef name,
                                     double value) {
  if (!isPositiveFloat(value))
    return op->emitOpError(name) << " " << value << " vs " << floatRange;
  return success();
}

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

static LogicalResult verifyRange(Operation *op, StringRef name,
                                 std::optional<ArrayRef<int64_t>> range) {
  if (range &&
      (range->size() != 2 || (*range)[0] < 0 || (*range)[0] >= (*range)[1]))
    return op->emitOpError()
           << name << " [" << *range
           << "): the range must hold a number and start at 0 or later";
  return success();
}

LogicalResult WeightOp::verify() {
  if (failed(verifyRange(*this, "layers", getLayers())) ||
      failed(verifyRange(*this, "rows", getRows())))
    return failure();
  bool named = getTensor().contains("{}");
  if (named != getLayers().has_value())
    return emitOpError("name '") << getTensor()
                                 << (named ? "' holds '{}' vs no layers"
                                           : "' holds no '{}' vs layers");
  auto type = cast<RankedTensorType>(getType());
  // A vector has no columns to exchange with its rows, but one row of a matrix
  // has.
  if (getTransposed() && type.getRank() == 1 &&
      (!getRows() || !getTotal() || (*getRows())[1] - (*getRows())[0] != 1 ||
       type.getDimSize(0) == 1))
    return emitOpError("transposed: ")
           << type << " vs a matrix or a single row of one";
  if (getRows().has_value() != getTotal().has_value())
    return emitOpError("has ")
           << (getTotal() ? "a number of rows vs no range of them"
                          : "a range of rows vs no number of them");
  if (std::optional<ArrayRef<int64_t>> rows = getRows()) {
    if ((*rows)[1] > static_cast<int64_t>(*getTotal()))
      return emitOpError("rows: up to ")
             << (*rows)[1] << " vs the " << *getTotal() << " of the tensor";
    // A single row of a matrix is seen as a vector; a slice of a vector keeps
    // its dimension.
    int64_t count = (*rows)[1] - (*rows)[0];
    bool singleRow = type.getRank() == 1 && count == 1;
    if (!singleRow && count != type.getDimSize(0))
      return emitOpError("rows: ")
             << count << " vs " << type.getDimSize(0) << " of type " << type;
  }
  return success();
}

LogicalResult RotaryOp::verify() {
  if (getFrequencies().empty())
    return emitOpError("frequencies: 0 vs at least 1");
  for (double frequency : getFrequencies())
    // One that underflows rotates nothing.
    if (!(frequency >= 0 && frequency <= mostFloat))
      return emitOpError("frequency ")
             << frequency << " vs a number from 0 to 1e+37";
  return verifyPositive(*this, "scale", getScale().convertToDouble());
}

LogicalResult ParameterOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight =
      symbols.lookupNearestSymbolFrom<WeightOp>(*this, getWeightAttr());
  if (!weight)
    return emitOpError("refers to ")
           << getWeightAttr() << ": no rshard.weight of this name";
  if (weight.getType() != getResult().getType()) {
    InFlightDiagnostic diag = emitOpError("type ")
                              << getResult().getType() << " vs "
                              << weight.getType();
    diag.attachNote(weight.getLoc()) << "declared here";
    return diag;
  }
  if (weight.getLayers().has_value() != static_cast<bool>(getLayer())) {
    InFlightDiagnostic diag = emitOpError(
        getLayer() ? "has a layer vs a weight without layers"
                   : "has no layer vs a weight with one tensor per layer");
    diag.attachNote(weight.getLoc()) << "declared here";
    return diag;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Token-wise operations
//===----------------------------------------------------------------------===//

/// Checks a size that another operand or the result fixes.
static LogicalResult verifyWidth(Operation *op, StringRef name, int64_t actual,
                                 int64_t required) {
  if (actual != required)
    return op->emitOpError(name) << ": " << actual << " vs " << required;
  return success();
}

static int64_t getLastDim(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape().back();
}
static int64_t getWidth(Value value) {
  return getRowWidth(cast<ShapedType>(value.getType()));
}

LogicalResult EmbeddingOp::verify() {
  return verifyWidth(*this, "width of the result", getWidth(getResult()),
                     getWidth(getTable()));
}

LogicalResult AddRowOp::verify() {
  return verifyWidth(*this, "size of the row", getLastDim(getRow()),
                     getWidth(getInput()));
}

LogicalResult NormOp::verify() {
  int64_t size = getLastDim(getInput());
  if (failed(verifyWidth(*this, "size of the scale", getLastDim(getScale()),
                         size)))
    return failure();
  if (getBias() && failed(verifyWidth(*this, "size of the bias",
                                      getLastDim(getBias()), size)))
    return failure();
  return verifyPositive(*this, "eps", getEps().convertToDouble());
}

LogicalResult LinearOp::verify() {
  auto weight = cast<RankedTensorType>(getWeight().getType());
  if (failed(verifyWidth(*this, "columns of the weight", weight.getDimSize(1),
                         getWidth(getInput()))) ||
      failed(verifyWidth(*this, "rows of the weight", weight.getDimSize(0),
                         getWidth(getResult()))))
    return failure();
  if (getBias())
    return verifyWidth(*this, "size of the bias", getLastDim(getBias()),
                       weight.getDimSize(0));
  return success();
}

LogicalResult ConvertOp::verify() {
  auto from = cast<RankedTensorType>(getInput().getType());
  auto to = cast<RankedTensorType>(getResult().getType());
  if (from.getShape() != to.getShape() ||
      from.getElementType() == to.getElementType())
    return emitOpError("result ")
           << to << " vs " << from << " in another element type";
  return success();
}

LogicalResult HeadsOp::verify() {
  ArrayRef<int64_t> range = getRange();
  auto from = cast<RankedTensorType>(getInput().getType());
  auto to = cast<RankedTensorType>(getResult().getType());
  if (range.size() != 2 || range[0] < 0 || range[0] >= range[1] ||
      range[1] > from.getDimSize(1))
    return emitOpError("heads [") << range << ") vs a range within the "
                                  << from.getDimSize(1) << " of the input";
  auto required = RankedTensorType::get(
      {ShapedType::kDynamic, range[1] - range[0], from.getDimSize(2)},
      from.getElementType());
  if (to != required)
    return emitOpError("result ") << to << " vs " << required;
  return success();
}

LogicalResult RopeOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto rotary =
      symbols.lookupNearestSymbolFrom<RotaryOp>(*this, getRotaryAttr());
  if (!rotary)
    return emitOpError("refers to ")
           << getRotaryAttr() << ": no rshard.rotary of this name";
  int64_t size = getLastDim(getInput()), pairs = rotary.getFrequencies().size();
  if (size != 2 * pairs) {
    InFlightDiagnostic diag = emitOpError("head size: ")
                              << size << " vs " << 2 * pairs;
    diag.attachNote(rotary.getLoc())
        << "two for each of the " << pairs << " frequencies declared here";
    return diag;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Token-mixing operations
//===----------------------------------------------------------------------===//

/// What attention and partial attention ask of their heads.
static LogicalResult verifyHeads(Operation *op, RankedTensorType query,
                                 RankedTensorType key) {
  if (query.getElementType() != key.getElementType())
    return op->emitOpError("element of the keys: ")
           << key.getElementType() << " vs " << query.getElementType();
  if (query.getDimSize(2) != key.getDimSize(2))
    return op->emitOpError("head size of the keys: ")
           << key.getDimSize(2) << " vs " << query.getDimSize(2);
  if (key.getDimSize(1) < 1 || query.getDimSize(1) % key.getDimSize(1))
    return op->emitOpError("query heads: ")
           << query.getDimSize(1) << " vs a multiple of the "
           << key.getDimSize(1) << " key heads";
  return success();
}

LogicalResult rshard::verifyScores(Operation *op, const APFloat &scale,
                                   const std::optional<APFloat> &softCap) {
  if (failed(verifyPositive(op, "scale", scale.convertToDouble())))
    return failure();
  if (!softCap)
    return success();
  double cap = softCap->convertToDouble();
  if (failed(verifyPositive(op, "soft_cap", cap)))
    return failure();
  return verifyPositive(op, "scale over soft_cap",
                        scale.convertToDouble() / cap);
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyHeads(*this, getQuery().getType(), getKey().getType())))
    return failure();
  return verifyScores(*this, getScale(), getSoftCap());
}

LogicalResult AttentionOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (getGridAttr() &&
      !symbols.lookupNearestSymbolFrom<GridOp>(*this, getGridAttr()))
    return emitOpError("refers to ")
           << getGridAttr() << ": no rshard.grid of this name";
  return success();
}

/// Partials are the rows that they are made of or merged to, in f32 or the same
/// element type.
static LogicalResult verifyPartials(Operation *op, RankedTensorType partials,
                                    RankedTensorType rows) {
  if (partials.getShape() != rows.getShape() ||
      (!partials.getElementType().isF32() && partials != rows))
    return op->emitOpError("partials ")
           << partials << " vs " << rows << " or the same in f32";
  return success();
}

LogicalResult PartialAttentionOp::verify() {
  if (failed(
          verifyPartials(*this, getOutput().getType(), getQuery().getType())))
    return failure();
  auto query = getQuery().getType(), lse = getLse().getType();
  if (cast<RankedTensorType>(lse).getDimSize(1) !=
      cast<RankedTensorType>(query).getDimSize(1))
    return emitOpError("heads of lse: ")
           << cast<RankedTensorType>(lse).getDimSize(1) << " vs "
           << cast<RankedTensorType>(query).getDimSize(1);
  if (failed(verifyHeads(*this, getQuery().getType(), getKey().getType())))
    return failure();
  return verifyScores(*this, getScale(), getSoftCap());
}

LogicalResult MergeOp::verify() {
  if (failed(
          verifyPartials(*this, getOutput().getType(), getResult().getType())))
    return failure();
  return verifyWidth(
      *this, "heads of lse", getLastDim(getLse()),
      cast<RankedTensorType>(getOutput().getType()).getDimSize(1));
}

LogicalResult LayersOp::verify() {
  if (getKinds().empty())
    return emitOpError("layer functions: 0 vs at least 1");
  llvm::SmallPtrSet<Attribute, 4> kinds;
  for (Attribute kind : getKinds())
    if (!kinds.insert(kind).second)
      return emitOpError("layer function ") << kind << ": twice vs once";
  if (getOrder().empty())
    return emitOpError("layers: 0 vs at least 1");
  for (auto [layer, kind] : llvm::enumerate(getOrder()))
    if (kind < 0 || kind >= static_cast<int64_t>(getKinds().size()))
      return emitOpError("layer ") << layer << " is of kind " << kind
                                   << " vs less than " << getKinds().size();
  if (getOrder().size() > 1 && getInput().getType() != getResult().getType())
    return emitOpError("returns ")
           << getResult().getType() << " vs " << getInput().getType()
           << ", which the next of " << getOrder().size() << " layers takes";
  return success();
}

/// Checks that every weight that `function`, of kind `kind`, reads has a tensor
/// for each layer of this kind.
static LogicalResult verifyLayerWeights(LayersOp layers, func::FuncOp function,
                                        int32_t kind,
                                        SymbolTableCollection &symbols) {
  if (function.isExternal())
    return success();
  WalkResult walk = function.walk([&](ParameterOp parameter) {
    if (!parameter.getLayer())
      return WalkResult::advance();
    if (parameter.getLayer() != function.getArgument(0)) {
      parameter.emitOpError("has another layer vs the first argument of @")
          << function.getSymName();
      return WalkResult::interrupt();
    }
    auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(
        parameter, parameter.getWeightAttr());
    if (!weight || !weight.getLayers())
      return WalkResult::advance(); // the parameter's own verifier says so
    ArrayRef<int64_t> range = *weight.getLayers();
    for (auto [layer, kindHere] : llvm::enumerate(layers.getOrder())) {
      int64_t number = static_cast<int64_t>(layer);
      if (kindHere != kind || (range[0] <= number && number < range[1]))
        continue;
      InFlightDiagnostic diag = parameter.emitOpError("layer ")
                                << number << " vs layers [" << range[0] << ", "
                                << range[1] << ") of "
                                << parameter.getWeightAttr();
      diag.attachNote(weight.getLoc()) << "declared here";
      diag.attachNote(layers.getLoc()) << "layers applied here";
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(walk.wasInterrupted());
}

LogicalResult LayersOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto type =
      FunctionType::get(getContext(),
                        {IndexType::get(getContext()), getInput().getType(),
                         getPositions().getType()},
                        {getResult().getType()});
  for (auto [index, kind] :
       llvm::enumerate(getKinds().getAsRange<FlatSymbolRefAttr>())) {
    auto layer = symbols.lookupNearestSymbolFrom<func::FuncOp>(*this, kind);
    if (!layer)
      return emitOpError("refers to ") << kind << ": no function of this name";
    auto fail = [&](auto &&...message) {
      InFlightDiagnostic diag = emitOpError("layer ") << kind;
      (diag << ... << message);
      diag.attachNote(layer.getLoc()) << "defined here";
      return diag;
    };
    if (layer.getFunctionType() != type)
      return fail(" has type ", layer.getFunctionType(), " vs ", type);
    if (!layer.getBody().hasOneBlock())
      return fail(" has ", layer.getBody().getBlocks().size(), " blocks vs 1");
    int64_t mixing = 0;
    layer.walk([&](TokenOpInterface op) {
      mixing += op.getTokenKind() == TokenKind::Mix;
    });
    if (mixing != 1)
      return fail(" holds ", mixing, " token-mixing ops vs 1");
    if (layer.walk([](LayersOp) { return WalkResult::interrupt(); })
            .wasInterrupted())
      return fail(" holds layers itself");
    if (failed(verifyLayerWeights(*this, layer, static_cast<int32_t>(index),
                                  symbols)))
      return failure();
  }
  return success();
}
