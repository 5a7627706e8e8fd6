//===- Pipeline.cpp - from kernels to the LLVM dialect --------------------===//

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "rshard/Target/CPU/Passes.h"

using namespace mlir;

namespace rshard::cpu {

namespace {
#define GEN_PASS_REGISTRATION
#include "rshard/Target/CPU/Passes.h.inc"
} // namespace

void buildLoweringPipeline(OpPassManager &passes) {
  auto clean = [&] {
    passes.addPass(createCanonicalizerPass());
    passes.addPass(createCSEPass());
  };
  clean();
  passes.addPass(createOutlineParallel());
  clean();
  passes.addPass(createApproximateMath());
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
}

void registerCPUPasses() {
  registerRShardCPUPasses();
  PassPipelineRegistration<>(
      "rshard-cpu-lower",
      "Lower CPU kernels and their callers to the LLVM dialect",
      buildLoweringPipeline);
}

} // namespace rshard::cpu
