//===- VerifyOverlap.cpp - kernels wait for what others write -------------===//

#include "RShard/RShard.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "rshard/Target/CUDA/GenerateKernels.h"
#include "rshard/Target/CUDA/Passes.h"
#include "llvm/ADT/TypeSwitch.h"
#include <map>
#include <set>

namespace rshard::cuda {
#define GEN_PASS_DEF_VERIFYOVERLAP
#include "rshard/Target/CUDA/Passes.h.inc"
} // namespace rshard::cuda

using namespace mlir;
using namespace rshard;

//===----------------------------------------------------------------------===//
// What a kernel does
//===----------------------------------------------------------------------===//

namespace {

/// What an operation does to global memory.
enum class Access {
  None,
  Constant, ///< a load that is marked: no kernel writes there
  Copy,     ///< a load; in front of the wait it counts as a marked one
  Load,
  Write
};

/// The parameters of a kernel that are addresses, by what it does there.
struct ParameterUses {
  std::set<unsigned> constants; ///< reads what no kernel may write
  std::set<unsigned> written;
};

class KernelCheck {
public:
  explicit KernelCheck(LLVM::LLVMFuncOp kernel) : kernel(kernel) {}

  LogicalResult run();
  const ParameterUses &getUses() const { return uses; }

private:
  /// Visits what is executed in order. `waited`: on all paths that lead here;
  /// returns the same of the end.
  FailureOr<bool> visit(Block &block, bool waited);
  FailureOr<bool> visitRegions(Operation &op, bool waited);
  /// Follows the addresses that `op` takes back to the kernel's parameters.
  LogicalResult collect(Operation &op, StringRef what,
                        std::set<unsigned> &parameters);

  LLVM::LLVMFuncOp kernel;
  ParameterUses uses;
};

} // namespace

static bool isGlobalAddress(Value value) {
  auto type = dyn_cast<LLVM::LLVMPointerType>(value.getType());
  return type && type.getAddressSpace() <= 1; // 0: wherever it points
}

/// Whatever takes an address in global memory accesses it, unless it is known
/// not to.
static Access accessOf(Operation &op) {
  if (llvm::none_of(op.getOperands(), isGlobalAddress))
    return Access::None;
  return llvm::TypeSwitch<Operation *, Access>(&op)
      .Case<LLVM::GEPOp, LLVM::AddrSpaceCastOp, arith::SelectOp,
            NVVM::PrefetchOp>([](auto) { return Access::None; })
      .Case([](LLVM::LoadOp load) {
        return load.getInvariant() ? Access::Constant : Access::Load;
      })
      .Case([](LLVM::InlineAsmOp code) {
        return code.getAsmString().starts_with("ld.global.nc.")
                   ? Access::Constant
                   : Access::Write;
      })
      .Case([](NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp) {
        return Access::Copy;
      })
      .Default([](Operation *op) {
        return isa<scf::SCFDialect>(op->getDialect()) ? Access::None
                                                      : Access::Write;
      });
}

static bool isWait(Operation &op) {
  auto code = dyn_cast<LLVM::InlineAsmOp>(op);
  return code && code.getAsmString().starts_with("griddepcontrol.wait;") &&
         code.getConstraints().contains("~{memory}");
}

/// Whether some thread waits: not in a loop that may run 0 times, nor in a
/// branch that no thread may take. Of two branches some thread takes each one:
/// they are the parts that warps play.
static bool someThreadWaits(Block &block) {
  return llvm::any_of(block, [](Operation &op) {
    if (auto loop = dyn_cast<scf::WhileOp>(op))
      return someThreadWaits(*loop.getBeforeBody());
    if (auto branch = dyn_cast<scf::IfOp>(op))
      return branch.elseBlock() && (someThreadWaits(*branch.thenBlock()) ||
                                    someThreadWaits(*branch.elseBlock()));
    return isWait(op);
  });
}

LogicalResult KernelCheck::run() {
  if (!kernel.getBody().hasOneBlock())
    return kernel.emitOpError("has ")
           << kernel.getBody().getBlocks().size()
           << " blocks vs 1: a kernel's branches and loops are those of scf";
  Block &body = kernel.getBody().front();
  if (failed(visit(body, false)))
    return failure();
  // It waits for the kernel in front of it alone. That all earlier ones have
  // ended then follows from every kernel's not ending before the wait does.
  if (!someThreadWaits(body))
    return kernel.emitOpError("may never execute griddepcontrol.wait vs once "
                              "in some thread: kernels behind it take earlier "
                              "ones to have ended when it has");
  return success();
}

FailureOr<bool> KernelCheck::visit(Block &block, bool waited) {
  for (Operation &op : block) {
    Access access = accessOf(op);
    bool early = access == Access::Copy && !waited;
    if (isWait(op)) {
      waited = true;
    } else if (access == Access::Constant || early) {
      if (failed(collect(op, "reads what no kernel may write", uses.constants)))
        return failure();
    } else if (access != Access::None && !waited) {
      return op.emitOpError(
          "touches global memory in front of griddepcontrol.wait vs behind it: "
          "earlier kernels may still write there");
    } else if (access == Access::Write) {
      if (failed(collect(op, "writes", uses.written)))
        return failure();
    } else if (op.getNumRegions()) {
      FailureOr<bool> after = visitRegions(op, waited);
      if (failed(after))
        return failure();
      waited = *after;
    }
  }
  return waited;
}

FailureOr<bool> KernelCheck::visitRegions(Operation &op, bool waited) {
  if (auto loop = dyn_cast<scf::WhileOp>(op)) {
    FailureOr<bool> tested = visit(*loop.getBeforeBody(), waited);
    if (failed(tested) || failed(visit(*loop.getAfterBody(), *tested)))
      return failure();
    return *tested;
  }
  // Others may run none of their regions, or one.
  bool all = isa<scf::IfOp>(op);
  for (Region &region : op.getRegions()) {
    all &= !region.empty();
    for (Block &block : region) {
      FailureOr<bool> end = visit(block, waited);
      if (failed(end))
        return failure();
      all &= *end;
    }
  }
  return waited || all;
}

LogicalResult KernelCheck::collect(Operation &op, StringRef what,
                                   std::set<unsigned> &parameters) {
  SmallVector<Value> open =
      llvm::filter_to_vector(op.getOperands(), isGlobalAddress);
  while (!open.empty()) {
    Value address = open.pop_back_val();
    if (auto argument = dyn_cast<BlockArgument>(address)) {
      if (argument.getOwner()->getParentOp() == kernel) {
        parameters.insert(argument.getArgNumber());
        continue;
      }
    } else if (isa<LLVM::GEPOp, LLVM::AddrSpaceCastOp, arith::SelectOp>(
                   address.getDefiningOp())) {
      llvm::append_range(
          open, llvm::make_filter_range(address.getDefiningOp()->getOperands(),
                                        isGlobalAddress));
      continue;
    }
    return op.emitOpError(what) << " at an address that is not computed from "
                                   "a parameter of the kernel";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// What a module gives its kernels
//===----------------------------------------------------------------------===//

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
      KernelCheck check(kernel);
      if (failed(check.run()))
        return signalPassFailure();
      uses[kernel] = check.getUses();
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
