//===- RShardKernelOps.cpp - kernels of a device --------------------------===//

#include "RShard/RShard.h"

using namespace mlir;
using namespace rshard;

/// Arguments are numbered by what the runtime's manifest holds, an i32.
static LogicalResult
verifyArgument(function_ref<InFlightDiagnostic()> emitError, StringRef of,
               int64_t argument) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  if (argument >= 0 && argument <= most)
    return success();
  return emitError() << "argument of a " << of << ": " << argument
                     << " vs 0 to " << most;
}

static LogicalResult verifySize(function_ref<InFlightDiagnostic()> emitError,
                                SizeAttr size) {
  if (size.getFactor() < 1)
    return emitError() << "factor of a size: " << size.getFactor()
                       << " vs at least 1";
  // -1: none.
  return size.getArgument() == -1
             ? success()
             : verifyArgument(emitError, "size", size.getArgument());
}

LogicalResult MapAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                              int64_t argument, Type element,
                              ArrayRef<SizeAttr> extents,
                              ArrayRef<SizeAttr> strides, ArrayRef<int64_t> box,
                              int64_t swizzle) {
  if (failed(verifyArgument(emitError, "map", argument)))
    return failure();
  if (!element.isF32() && !element.isBF16() && !element.isF16())
    return emitError() << "element of a map: " << element
                       << " vs f32, bf16 or f16";
  if (extents.empty() || extents.size() > 5)
    return emitError() << "dimensions of a map: " << extents.size()
                       << " vs 1 to 5";
  if (strides.size() + 1 != extents.size())
    return emitError() << "strides of a map: " << strides.size() << " vs "
                       << extents.size() - 1;
  for (SizeAttr size : llvm::concat<const SizeAttr>(extents, strides))
    if (failed(verifySize(emitError, size)))
      return failure();
  if (box.size() != extents.size())
    return emitError() << "box sizes of a map: " << box.size() << " vs "
                       << extents.size();
  for (int64_t size : box)
    if (size < 1 || size > 256)
      return emitError() << "box size of a map: " << size << " vs 1 to 256";
  if (swizzle != 0 && swizzle != 32 && swizzle != 64 && swizzle != 128)
    return emitError() << "swizzle of a map: " << swizzle
                       << " vs 0, 32, 64 or 128";
  return success();
}

LogicalResult BlocksAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t argument, int64_t per) {
  if (per < 1)
    return emitError() << "rows per block: " << per << " vs at least 1";
  return verifyArgument(emitError, "factor of the grid", argument);
}

LogicalResult KernelAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t threads, int64_t shared,
                                 int64_t blocks, int64_t resident,
                                 ArrayRef<BlocksAttr>,
                                 ArrayRef<Attribute> parameters) {
  if (threads < 1)
    return emitError() << "threads of a kernel: " << threads
                       << " vs at least 1";
  if (shared < 0)
    return emitError() << "shared memory of a kernel: " << shared
                       << " vs at least 0 bytes";
  if (blocks < 1 || resident < 0)
    return emitError() << "blocks of a kernel: " << blocks << ", resident "
                       << resident << " vs at least 1 and at least 0";
  for (Attribute parameter : parameters) {
    LogicalResult valid = success();
    if (auto pointer = dyn_cast<PointerAttr>(parameter))
      valid = verifyArgument(emitError, "pointer", pointer.getArgument());
    else if (auto rows = dyn_cast<RowsAttr>(parameter))
      valid = verifyArgument(emitError, "number of rows", rows.getArgument());
    else if (auto scalar = dyn_cast<ScalarAttr>(parameter))
      valid = verifyArgument(emitError, "scalar", scalar.getArgument());
    else if (!isa<MapAttr>(parameter))
      return emitError() << "parameter of a kernel: " << parameter
                         << " vs pointer, rows, scalar or map";
    if (failed(valid))
      return failure();
  }
  return success();
}

LogicalResult RunOp::verifySymbolUses(SymbolTableCollection &symbols) {
  Operation *kernel = symbols.lookupNearestSymbolFrom(*this, getKernelAttr());
  if (!kernel)
    return emitOpError("refers to ")
           << getKernelAttr() << ": no kernel of this name";
  auto launch = kernel->getAttrOfType<KernelAttr>(kernelAttrName);
  auto fail = [&](auto &&...message) -> LogicalResult {
    InFlightDiagnostic diag = emitOpError();
    (diag << ... << message);
    diag.attachNote(kernel->getLoc()) << "kernel defined here";
    return diag;
  };
  if (!launch)
    return fail("refers to ", getKernelAttr(), ", which has no attribute '",
                kernelAttrName, "'");
  auto typeOf = [&](int64_t argument) -> Type {
    return argument >= 0 &&
                   argument < static_cast<int64_t>(getArguments().size())
               ? getArguments()[argument].getType()
               : Type();
  };
  auto check = [&](int64_t argument, bool view, bool integer) -> LogicalResult {
    Type type = typeOf(argument);
    if (!type)
      return fail("arguments: ", getArguments().size(), " vs argument ",
                  argument, ", which the kernel takes");
    if (isa<MemRefType>(type) ? !view : !integer)
      return fail("argument ", argument, ": ", type, " vs ",
                  view ? "a view" : "an integer");
    return success();
  };
  auto checkSize = [&](SizeAttr size) {
    return size.getArgument() < 0 ? success()
                                  : check(size.getArgument(), true, true);
  };
  for (Attribute parameter : launch.getParameters()) {
    LogicalResult valid = success();
    if (auto pointer = dyn_cast<PointerAttr>(parameter))
      valid = check(pointer.getArgument(), true, false);
    else if (auto rows = dyn_cast<RowsAttr>(parameter))
      valid = check(rows.getArgument(), true, false);
    else if (auto scalar = dyn_cast<ScalarAttr>(parameter))
      valid = check(scalar.getArgument(), false, true);
    else if (auto map = dyn_cast<MapAttr>(parameter)) {
      valid = check(map.getArgument(), true, false);
      for (SizeAttr size :
           llvm::concat<const SizeAttr>(map.getExtents(), map.getStrides()))
        if (succeeded(valid))
          valid = checkSize(size);
    }
    if (failed(valid))
      return failure();
  }
  for (BlocksAttr term : launch.getGrid())
    if (failed(check(term.getArgument(), true, true)))
      return failure();
  return success();
}
