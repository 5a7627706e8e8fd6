//===- RShardKernelOps.cpp - kernels of a device --------------------------===//

#include "RShard/RShard.h"

using namespace mlir;
using namespace rshard;

LogicalResult MapAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                              int64_t argument, Type element,
                              ArrayRef<SizeAttr> extents,
                              ArrayRef<SizeAttr> strides, ArrayRef<int64_t> box,
                              int64_t swizzle) {
  if (argument < 0)
    return emitError() << "argument of a map: " << argument << " vs at least 0";
  if (!element.isF32() && !element.isBF16() && !element.isF16())
    return emitError() << "element of a map: " << element
                       << " vs f32, bf16 or f16";
  if (extents.empty() || extents.size() > 5)
    return emitError() << "dimensions of a map: " << extents.size()
                       << " vs 1 to 5";
  if (strides.size() + 1 != extents.size())
    return emitError() << "strides of a map: " << strides.size() << " vs "
                       << extents.size() - 1;
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
  if (argument < 0 || per < 1)
    return emitError() << "blocks: argument " << argument << ", per " << per
                       << " vs at least 0 and at least 1";
  return success();
}

LogicalResult KernelAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 int64_t threads, int64_t shared,
                                 int64_t blocks, int64_t resident,
                                 ArrayRef<BlocksAttr>,
                                 ArrayRef<Attribute> parameters) {
  // Limits of compute capability 9.0.
  if (threads < 1 || threads > 1024 || threads % 32)
    return emitError() << "threads of a kernel: " << threads
                       << " vs a multiple of 32 up to 1024";
  if (shared < 0 || shared > 232448)
    return emitError() << "shared memory of a kernel: " << shared
                       << " vs 0 to 232448 bytes";
  if (blocks < 1 || resident < 0)
    return emitError() << "blocks of a kernel: " << blocks << ", resident "
                       << resident << " vs at least 1 and at least 0";
  for (Attribute parameter : parameters)
    if (!isa<PointerAttr, RowsAttr, ScalarAttr, MapAttr>(parameter))
      return emitError() << "parameter of a kernel: " << parameter
                         << " vs pointer, rows, scalar or map";
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
