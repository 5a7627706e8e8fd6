//===- GenerateKernels.cpp - from the scheduled to the kernels phase ------===//

#include "rshard/Target/CPU/GenerateKernels.h"
#include "mlir/Pass/PassManager.h"
#include "rshard/Target/CPU/Passes.h"

using namespace mlir;

namespace rshard::cpu {

FailureOr<OwningOpRef<ModuleOp>> generateKernels(ModuleOp scheduled,
                                                 const std::string &cpu) {
  OwningOpRef<ModuleOp> module = scheduled.clone();
  PassManager passes(module->getContext());
  ConvertToKernelsOptions options;
  options.cpu = cpu;
  passes.addPass(createConvertToKernels(options));
  passes.addPass(createApproximateMath());
  if (failed(passes.run(*module)))
    return failure();
  return module;
}

} // namespace rshard::cpu
