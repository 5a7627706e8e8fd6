//===- RShardDialect.cpp - dialect, attributes and types ------------------===//

#include "NCCL/NCCL.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace rshard;

#include "RShard/RShardDialect.cpp.inc"
#include "RShard/RShardEnums.cpp.inc"
#include "RShard/RShardInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "RShard/RShardAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "RShard/RShardTypes.cpp.inc"

void RShardDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "RShard/RShardAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "RShard/RShardTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "RShard/RShardOps.cpp.inc"
      >();
}

bool rshard::hasTokenRows(ShapedType type) {
  return type.hasRank() && type.getRank() > 0 && type.isDynamicDim(0) &&
         llvm::all_of(type.getShape().drop_front(),
                      [](int64_t size) { return size > 0; });
}

bool rshard::isRowElement(Type type) {
  return type.isF32() || type.isBF16() || type.isF16();
}

int64_t rshard::getRowWidth(ShapedType type) {
  int64_t width = 1;
  for (int64_t size : type.getShape().drop_front())
    width *= size;
  return width;
}

LogicalResult RShardDialect::verifyOperationAttribute(Operation *op,
                                                      NamedAttribute attr) {
  if (attr.getName() == modelAttrName) {
    if (!isa<ModuleOp>(op))
      return op->emitOpError("has attribute '")
             << modelAttrName << "': it belongs on a module";
    if (!isa<ModelAttr>(attr.getValue()))
      return op->emitOpError("attribute '")
             << modelAttrName << "' is " << attr.getValue()
             << " vs #rshard.model";
    return success();
  }
  if (attr.getName() == roleAttrName) {
    if (!isa<func::FuncOp>(op))
      return op->emitOpError("has attribute '")
             << roleAttrName << "': it belongs on a function";
    if (!isa<RoleAttr>(attr.getValue()))
      return op->emitOpError("attribute '")
             << roleAttrName << "' is " << attr.getValue()
             << " vs #rshard.role";
    return success();
  }
  if (attr.getName() == layerClassesAttrName) {
    if (!isa<ModuleOp>(op))
      return op->emitOpError("has attribute '")
             << layerClassesAttrName << "': it belongs on a module";
    if (!isa<DenseI32ArrayAttr>(attr.getValue()))
      return op->emitOpError("attribute '")
             << layerClassesAttrName << "' is " << attr.getValue()
             << " vs array<i32>";
    auto classes = cast<DenseI32ArrayAttr>(attr.getValue()).asArrayRef();
    if (classes.empty())
      return op->emitOpError("attribute '")
             << layerClassesAttrName << "': 0 layers vs at least 1";
    for (auto [layer, one] : llvm::enumerate(classes))
      if (one < 0)
        return op->emitOpError("attribute '")
               << layerClassesAttrName << "': class of layer " << layer << ": "
               << one << " vs at least 0";
    return success();
  }
  if (attr.getName() == weightSlotsAttrName) {
    if (!isa<ModuleOp>(op))
      return op->emitOpError("has attribute '")
             << weightSlotsAttrName << "': it belongs on a module";
    auto ranges = dyn_cast<ArrayAttr>(attr.getValue());
    auto complete = [](Attribute entry) {
      auto range = dyn_cast<DictionaryAttr>(entry);
      return range && range.getAs<ArrayAttr>("weights") &&
             range.getAs<StringAttr>("pack") &&
             range.getAs<IntegerAttr>("first") &&
             range.getAs<IntegerAttr>("count") &&
             (!range.contains("scale") ||
              range.getAs<FlatSymbolRefAttr>("scale"));
    };
    if (!ranges || !llvm::all_of(ranges, complete))
      return op->emitOpError("attribute '")
             << weightSlotsAttrName << "' is " << attr.getValue()
             << " vs a list of {weights, pack, first, count, scale?}";
    return success();
  }
  if (attr.getName() == kernelAttrName) {
    if (!isa<FunctionOpInterface>(op))
      return op->emitOpError("has attribute '")
             << kernelAttrName << "': it belongs on a function";
    if (!isa<KernelAttr>(attr.getValue()))
      return op->emitOpError("attribute '")
             << kernelAttrName << "' is " << attr.getValue()
             << " vs #rshard.kernel";
    return success();
  }
  return op->emitOpError("has unknown attribute '")
         << attr.getName().getValue() << "' of the rshard dialect";
}

//===----------------------------------------------------------------------===//
// MaskAttr
//===----------------------------------------------------------------------===//

Attribute MaskAttr::parse(AsmParser &parser, Type) {
  StringRef keyword;
  int64_t window = 0;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseKeyword(&keyword))
    return {};
  std::optional<MaskKind> kind = symbolizeMaskKind(keyword);
  if (!kind) {
    parser.emitError(loc, "unknown mask '")
        << keyword << "' vs full, causal or window";
    return {};
  }
  if (*kind == MaskKind::Window && parser.parseInteger(window))
    return {};
  if (parser.parseGreater())
    return {};
  return parser.getChecked<MaskAttr>(loc, parser.getContext(), *kind, window);
}

void MaskAttr::print(AsmPrinter &printer) const {
  printer << "<" << stringifyMaskKind(getKind());
  if (getKind() == MaskKind::Window)
    printer << " " << getWindow();
  printer << ">";
}

LogicalResult MaskAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               MaskKind kind, int64_t window) {
  if (kind == MaskKind::Window && window < 1)
    return emitError() << "window of a mask: " << window << " vs at least 1";
  if (kind != MaskKind::Window && window != 0)
    return emitError() << "window of a " << stringifyMaskKind(kind)
                       << " mask: " << window << " vs none";
  return success();
}

//===----------------------------------------------------------------------===//
// RowTypesAttr
//===----------------------------------------------------------------------===//

LogicalResult RowTypesAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   Type activations, Type partials) {
  if (!isRowElement(activations))
    return emitError() << "activations are " << activations
                       << " vs f32, bf16 or f16";
  if (!partials.isF32() && partials != activations)
    return emitError() << "partials are " << partials
                       << " vs f32 or the activations' " << activations;
  return success();
}

//===----------------------------------------------------------------------===//
// ModelAttr
//===----------------------------------------------------------------------===//

Attribute ModelAttr::parse(AsmParser &parser, Type) {
  std::string architecture, hash;
  int64_t positions = 0;
  SmallVector<int64_t> end;
  SMLoc loc = parser.getCurrentLocation();
  auto parseEnd = [&] { return parser.parseInteger(end.emplace_back()); };
  if (parser.parseLess() || parser.parseKeyword("architecture") ||
      parser.parseEqual() || parser.parseString(&architecture) ||
      parser.parseComma() || parser.parseKeyword("positions") ||
      parser.parseEqual() || parser.parseInteger(positions) ||
      parser.parseComma() || parser.parseKeyword("end") ||
      parser.parseEqual() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseEnd) ||
      parser.parseComma() || parser.parseKeyword("hash") ||
      parser.parseEqual() || parser.parseString(&hash) || parser.parseGreater())
    return {};
  return parser.getChecked<ModelAttr>(loc, parser.getContext(), architecture,
                                      positions, end, hash);
}

void ModelAttr::print(AsmPrinter &printer) const {
  printer << "<architecture = ";
  printer.printString(getArchitecture());
  printer << ", positions = " << getPositions() << ", end = [";
  llvm::interleaveComma(getEnd(), printer);
  printer << "], hash = ";
  printer.printString(getHash());
  printer << ">";
}

LogicalResult ModelAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                StringRef, int64_t positions,
                                ArrayRef<int64_t> end, StringRef) {
  if (positions < 1)
    return emitError() << "positions of a model: " << positions
                       << " vs at least 1";
  for (int64_t token : end)
    if (token < 0)
      return emitError() << "end token of a model: " << token
                         << " vs at least 0";
  return success();
}
