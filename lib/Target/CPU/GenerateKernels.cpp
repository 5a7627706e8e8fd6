//===- GenerateKernels.cpp - from the scheduled to the kernels phase ------===//

#include "rshard/Target/CPU/GenerateKernels.h"
#include "mlir/Pass/PassManager.h"
#include "rshard/Target/CPU/Passes.h"

using namespace mlir;

namespace rshard::cpu {

LogicalResult checkRowTypes(const tokenset::RowTypes &types,
                            function_ref<InFlightDiagnostic()> emitError) {
  // Partials are f32 or of the activations' type.
  if (types.activations != tokenset::ElementType::F32)
    return emitError() << "activations are "
                       << tokenset::elementTypeName(types.activations)
                       << " vs f32, which cpu code computes in";
  return success();
}

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
