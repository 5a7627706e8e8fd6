//===- HostCode.cpp - from the kernels phase to host code -----------------===//

#include "rshard/Target/Host/HostCode.h"
#include "mlir/Pass/PassManager.h"
#include "rshard/Conversion/Passes.h"
#include "rshard/Target/Host/Passes.h"

using namespace mlir;

FailureOr<SmallVector<char, 0>>
rshard::compileHostCode(ModuleOp module, const HostCpu &cpu,
                        const SharedObjectOptions &options) {
  PassManager lowering(module->getContext());
  lowering.addPass(createConvertFrameToLLVM());
  lowering.addPass(createConvertNCCLToLLVM());
  buildHostLoweringPipeline(lowering);
  if (failed(lowering.run(module)))
    return failure();
  return emitSharedObject(module, cpu, options);
}
