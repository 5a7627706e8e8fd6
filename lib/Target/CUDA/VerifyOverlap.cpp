//===- VerifyOverlap.cpp - kernels wait for what others write -------------===//

#include "KernelUses.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "rshard/Target/CUDA/GenerateKernels.h"
#include "rshard/Target/CUDA/Passes.h"
#include <map>

namespace rshard::cuda {
#define GEN_PASS_DEF_VERIFYOVERLAP
#include "rshard/Target/CUDA/Passes.h.inc"
} // namespace rshard::cuda

using namespace mlir;
using namespace rshard;
using cuda::findKernelUses;
using cuda::ParameterUses;

namespace {

/// By who writes it.
enum class Memory {
  Constant, ///< a weight, a table or rows of positions: before a step alone
  Buffer    ///< another buffer of the frame: kernels
};

class VerifyOverlap : public cuda::impl::VerifyOverlapBase<VerifyOverlap> {
  void runOnOperation() override;
  LogicalResult checkRun(RunOp run, const ParameterUses &uses);
  LogicalResult checkArguments(RunOp run, const std::set<unsigned> &used,
                               Memory must, StringRef found, StringRef note);
  /// Whether `memory` is `what`, whoever calls.
  bool is(Value memory, Memory what);

  std::map<StringRef, SmallVector<func::CallOp>> calls; ///< by callee
};

} // namespace

bool VerifyOverlap::is(Value memory, Memory what) {
  while (auto view = memory.getDefiningOp<ViewLikeOpInterface>())
    memory = view.getViewSource();
  if (auto argument = dyn_cast<BlockArgument>(memory)) {
    auto segment = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
    return segment && segment.isPrivate() &&
           llvm::all_of(calls[segment.getSymName()], [&](func::CallOp call) {
             return is(call.getOperand(argument.getArgNumber()), what);
           });
  }
  if (auto get = memory.getDefiningOp<GetBufferOp>()) {
    auto buffer = getOperation().lookupSymbol<BufferOp>(get.getBuffer());
    return buffer &&
           (buffer.getRows() == "positions") == (what == Memory::Constant);
  }
  return what == Memory::Constant &&
         isa_and_present<GetWeightOp, GetTableOp>(memory.getDefiningOp());
}

/// That the arguments behind the parameters `used` are what they must be.
LogicalResult VerifyOverlap::checkArguments(RunOp run,
                                            const std::set<unsigned> &used,
                                            Memory must, StringRef found,
                                            StringRef note) {
  Operation *kernel =
      SymbolTable::lookupNearestSymbolFrom(run, run.getKernelAttr());
  ArrayRef<Attribute> parameters =
      kernel->getAttrOfType<KernelAttr>(kernelAttrName).getParameters();
  for (unsigned parameter : used) {
    auto pointer = dyn_cast<PointerAttr>(parameters[parameter]);
    auto map = dyn_cast<MapAttr>(parameters[parameter]);
    if (!pointer && !map)
      continue; // no memory of the module
    int64_t number = pointer ? pointer.getArgument() : map.getArgument();
    if (is(run.getArguments()[number], must))
      continue;
    InFlightDiagnostic diag = run.emitOpError("argument ")
                              << number << ": " << found;
    diag.attachNote(kernel->getLoc()) << note;
    return diag;
  }
  return success();
}

LogicalResult VerifyOverlap::checkRun(RunOp run, const ParameterUses &uses) {
  if (failed(checkArguments(run, uses.constants, Memory::Constant,
                            "memory that kernels may write vs a weight, a "
                            "table or rows of positions",
                            "the kernel reads it before earlier ones have "
                            "ended")))
    return failure();
  return checkArguments(run, uses.written, Memory::Buffer,
                        "memory that kernels may read before earlier ones have "
                        "ended vs a buffer of other rows than positions",
                        "the kernel writes it");
}

void VerifyOverlap::runOnOperation() {
  ModuleOp module = getOperation();
  calls.clear();
  std::map<Operation *, ParameterUses> uses;
  for (auto kernels : module.getOps<gpu::GPUModuleOp>())
    for (auto kernel : kernels.getOps<LLVM::LLVMFuncOp>()) {
      auto launch = kernel->getAttrOfType<KernelAttr>(kernelAttrName);
      if (!launch || kernel.isExternal())
        continue;
      if (kernel.getNumArguments() != launch.getParameters().size()) {
        kernel.emitOpError("takes ")
            << kernel.getNumArguments() << " parameters vs "
            << launch.getParameters().size() << " that it is launched with";
        return signalPassFailure();
      }
      FailureOr<ParameterUses> found = findKernelUses(kernel);
      if (failed(found))
        return signalPassFailure();
      uses[kernel] = std::move(*found);
    }
  SmallVector<RunOp> runs;
  for (auto function : module.getOps<func::FuncOp>()) {
    function.walk([&](RunOp run) { runs.push_back(run); });
    function.walk(
        [&](func::CallOp call) { calls[call.getCallee()].push_back(call); });
  }
  for (RunOp run : runs) {
    auto kernel = uses.find(
        SymbolTable::lookupNearestSymbolFrom(run, run.getKernelAttr()));
    if (kernel != uses.end() && failed(checkRun(run, kernel->second)))
      return signalPassFailure();
  }
}
