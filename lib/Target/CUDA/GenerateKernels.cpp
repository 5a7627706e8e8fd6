//===- GenerateKernels.cpp - from the scheduled to the kernels phase ------===//

#include "rshard/Target/CUDA/GenerateKernels.h"
#include "mlir/Pass/PassManager.h"
#include "rshard/Target/CUDA/KernelLibrary.h"
#include "rshard/Target/CUDA/Passes.h"

using namespace mlir;

namespace rshard::cuda {

LogicalResult checkRowTypes(const tokenset::RowTypes &types,
                            function_ref<InFlightDiagnostic()> emitError) {
  using tokenset::ElementType;
  if (types.activations == ElementType::BF16 ||
      types.activations == ElementType::F16)
    return success();
  return emitError() << "activations are "
                     << tokenset::elementTypeName(types.activations)
                     << " vs bf16 or f16, which cuda code computes in";
}

FailureOr<OwningOpRef<ModuleOp>> generateKernels(ModuleOp scheduled) {
  OwningOpRef<ModuleOp> module = scheduled.clone();
  PassManager passes(module->getContext());
  passes.addPass(createConvertToKernels());
  passes.addPass(createVerifyOverlap());
  if (failed(passes.run(*module)))
    return failure();
  return module;
}

gpu::GPUModuleOp getKernels(ModuleOp module) {
  return module.lookupSymbol<gpu::GPUModuleOp>(kernelsName);
}

} // namespace rshard::cuda
