//===- AsyncCopy.cpp - the tensor memory accelerator ----------------------===//

#include "AsyncCopy.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace rshard::cuda {

/// Nanoseconds for which a wait may sleep before it looks again.
static constexpr int64_t waitTicks = 10000000;

void initBarrier(DeviceBuilder &k, Int barrier, int64_t arrivals) {
  NVVM::MBarrierInitOp::create(k.ops, k.loc, k.sharedPointer(barrier),
                               k.integer(arrivals), Value());
}
void fenceBarrierInit(DeviceBuilder &k) {
  NVVM::FenceMbarrierInitOp::create(k.ops, k.loc);
}
void waitBarrier(DeviceBuilder &k, Int barrier, Int phase) {
  NVVM::MBarrierTryWaitParityOp::create(k.ops, k.loc, k.sharedPointer(barrier),
                                        phase, k.integer(waitTicks));
}
void arrive(DeviceBuilder &k, Int barrier) {
  NVVM::MBarrierArriveOp::create(k.ops, k.loc, k.i64(),
                                 k.sharedPointer(barrier), Value());
}
void arriveExpecting(DeviceBuilder &k, Int barrier, int64_t bytes) {
  arriveExpecting(k, barrier, k.integer(bytes));
}
void arriveExpecting(DeviceBuilder &k, Int barrier, Int bytes) {
  NVVM::MBarrierArriveExpectTxOp::create(
      k.ops, k.loc, Type(), k.sharedPointer(barrier), bytes,
      NVVM::MemScopeKind::CTA, /*relaxed=*/false, Value());
}

Stage Stage::skip(int64_t count, int64_t stages) const {
  DeviceBuilder &k = index.builder();
  Int later = index + count % stages;
  Bool wraps = later > stages - 1;
  return {k.select(wraps, later - stages, later),
          phase ^ k.widen(wraps) ^ k.integer(count / stages % 2)};
}

static Values coordinates(ArrayRef<Int> at) {
  return Values(llvm::map_range(at, [](Int i) -> Value { return i; }));
}

void copyIn(DeviceBuilder &k, Int destination, Value map, Int barrier,
            ArrayRef<Int> at) {
  // The destination of this instruction is in the cluster's window, of which
  // the block's own shared memory is a part.
  Value cluster = LLVM::AddrSpaceCastOp::create(
      k.ops, k.loc, LLVM::LLVMPointerType::get(k.ops.getContext(), 7),
      k.sharedPointer(destination));
  NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
      k.ops, k.loc, cluster, map, coordinates(at), k.sharedPointer(barrier),
      ValueRange(), Value(), Value(), NVVM::TMALoadMode::TILE,
      /*isCTAOnly=*/false, NVVM::CTAGroupKindAttr(), Value());
}
void copyOut(DeviceBuilder &k, Value map, Int source, ArrayRef<Int> at) {
  NVVM::CpAsyncBulkTensorSharedCTAToGlobalOp::create(
      k.ops, k.loc, map, k.sharedPointer(source), coordinates(at), Value(),
      NVVM::TMAStoreMode::TILE, Value());
}
void commitCopies(DeviceBuilder &k) {
  NVVM::CpAsyncBulkCommitGroupOp::create(k.ops, k.loc);
}
void waitCopiesRead(DeviceBuilder &k, int64_t groups) {
  NVVM::CpAsyncBulkWaitGroupOp::create(
      k.ops, k.loc, static_cast<uint32_t>(groups), k.ops.getUnitAttr());
}
void waitCopies(DeviceBuilder &k, int64_t groups) {
  NVVM::CpAsyncBulkWaitGroupOp::create(
      k.ops, k.loc, static_cast<uint32_t>(groups), UnitAttr());
}
void fenceCopies(DeviceBuilder &k) {
  NVVM::FenceProxyOp::create(
      k.ops, k.loc, NVVM::ProxyKind::async_shared,
      NVVM::SharedSpaceAttr::get(k.ops.getContext(),
                                 NVVM::SharedSpace::shared_cta));
}

} // namespace rshard::cuda
