//===- HostLowering.cpp - from host code to the LLVM dialect --------------===//

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "rshard/Target/Host/Passes.h"

using namespace mlir;

namespace rshard {

namespace {
#define GEN_PASS_REGISTRATION
#include "rshard/Target/Host/Passes.h.inc"
} // namespace

void buildHostLoweringPipeline(OpPassManager &passes) {
  auto clean = [&] {
    passes.addPass(createCanonicalizerPass());
    passes.addPass(createCSEPass());
  };
  clean();
  passes.addPass(createOutlineParallel());
  clean();
  passes.addPass(memref::createExpandStridedMetadataPass());
  passes.addPass(createLowerAffinePass());
  passes.addPass(arith::createArithExpandOpsPass());
  clean();
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertIndexToLLVMPass());
  passes.addPass(createUBToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  clean();
  passes.addPass(createBindImports());
}

void registerHostPasses() {
  registerRShardHostPasses();
  PassPipelineRegistration<>("rshard-host-lower",
                             "Lower host code to the LLVM dialect",
                             buildHostLoweringPipeline);
}

} // namespace rshard
