//===- CompileForCpu.cpp - from the scheduled phase to host code ----------===//

#include "rshard/Target/CPU/CompileForCpu.h"
#include "RShard/RShard.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "rshard/Conversion/Passes.h"
#include "rshard/Target/CPU/Passes.h"
#include "rshard/Target/CPU/SharedObject.h"

using namespace mlir;

namespace rshard::cpu {

/// What the manifest says about the frame, read before it is converted.
static void describeFrame(ModuleOp module, HostObject &result) {
  for (auto buffer : module.getOps<BufferOp>()) {
    auto type = cast<MemRefType>(buffer.getType());
    std::string element;
    llvm::raw_string_ostream(element) << type.getElementType();
    result.buffers.push_back({buffer.getSymName().str(), buffer.getRows().str(),
                              element, type.getDimSize(1)});
  }
  for (auto table : module.getOps<TableOp>())
    result.tables.push_back(table.getSymName().str());
  for (auto range : module->getAttrOfType<ArrayAttr>(weightSlotsAttrName)
                        .getAsRange<DictionaryAttr>())
    result.weights.push_back(
        {range.getAs<FlatSymbolRefAttr>("weight").getValue().str(),
         range.getAs<StringAttr>("pack").str(),
         range.getAs<IntegerAttr>("first").getInt(),
         range.getAs<IntegerAttr>("count").getInt()});
}

FailureOr<HostObject> compileForCpu(ModuleOp scheduled,
                                    const CpuOptions &options) {
  auto target =
      CpuTarget::get(options.cpu, [&] { return scheduled.emitError(); });
  if (failed(target))
    return failure();
  OwningOpRef<ModuleOp> module = scheduled.clone();

  PassManager kernels(module->getContext());
  ConvertToKernelsOptions kernelOptions;
  kernelOptions.cpu = options.cpu;
  kernels.addPass(createConvertToKernels(kernelOptions));
  if (failed(kernels.run(*module)))
    return failure();
  HostObject result;
  result.cpu = target->name;
  result.features = target->features;
  describeFrame(*module, result);

  PassManager lowering(module->getContext());
  lowering.addPass(createConvertFrame());
  lowering.addPass(createConvertNCCLToLLVM());
  buildLoweringPipeline(lowering);
  if (failed(lowering.run(*module)))
    return failure();
  SharedObjectOptions emission;
  emission.addressSanitizer = options.addressSanitizer;
  auto code = emitSharedObject(*module, *target, emission);
  if (failed(code))
    return failure();
  result.code = std::move(*code);
  return result;
}

} // namespace rshard::cpu
