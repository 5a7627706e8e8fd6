//===- KernelUses.cpp - what a kernel does at its parameters --------------===//

#include "KernelUses.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using rshard::cuda::ParameterUses;

namespace {

/// What an operation does to global memory.
enum class Access {
  None,
  Constant, ///< a load that is marked: no kernel writes there
  Copy,     ///< a load; in front of the wait it counts as a marked one
  Load,
  Write
};

class KernelCheck {
public:
  explicit KernelCheck(LLVM::LLVMFuncOp kernel) : kernel(kernel) {}

  FailureOr<ParameterUses> run();

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

FailureOr<ParameterUses> KernelCheck::run() {
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
  return std::move(uses);
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

FailureOr<ParameterUses> rshard::cuda::findKernelUses(LLVM::LLVMFuncOp kernel) {
  return KernelCheck(kernel).run();
}
