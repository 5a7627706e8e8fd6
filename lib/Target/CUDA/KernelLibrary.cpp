//===- KernelLibrary.cpp - one definition per kernel ----------------------===//

#include "rshard/Target/CUDA/KernelLibrary.h"
#include "ComputeCapability.h"
#include "DeviceBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/bit.h"

using namespace mlir;

namespace rshard::cuda {

KernelLibrary::KernelLibrary(ModuleOp module, const LinearSchedule *pipelined)
    : module(module), pipelined(pipelined) {
  if (auto known = module.lookupSymbol<gpu::GPUModuleOp>(kernelsName)) {
    kernels = known;
    return;
  }
  OpBuilder ops(module.getBodyRegion());
  ops.setInsertionPointToEnd(module.getBody());
  kernels = gpu::GPUModuleOp::create(ops, module.getLoc(), kernelsName);
  // The dynamic shared memory of every kernel.
  ops.setInsertionPointToStart(kernels.getBody());
  auto shared = LLVM::GlobalOp::create(
      ops, module.getLoc(), LLVM::LLVMArrayType::get(ops.getI8Type(), 0),
      /*isConstant=*/false, LLVM::Linkage::External, "smem", Attribute(),
      /*alignment=*/1024, /*addrSpace=*/3);
  (void)shared;
}

Attribute KernelLibrary::pointer(int64_t argument) {
  return PointerAttr::get(module.getContext(), argument);
}
Attribute KernelLibrary::rows(int64_t argument) {
  return RowsAttr::get(module.getContext(), argument);
}
Attribute KernelLibrary::scalar(int64_t argument) {
  return ScalarAttr::get(module.getContext(), argument);
}
BlocksAttr KernelLibrary::blocksOf(int64_t argument, int64_t per) {
  return BlocksAttr::get(module.getContext(), argument, per);
}
SizeAttr KernelLibrary::size(int64_t factor, int64_t argument) {
  return SizeAttr::get(module.getContext(), factor, argument);
}

SymbolRefAttr
KernelLibrary::define(const std::string &name, const Launch &launch,
                      function_ref<void(DeviceBuilder &, ValueRange)> body) {
  MLIRContext *context = module.getContext();
  auto symbol = SymbolRefAttr::get(kernels.getNameAttr(),
                                   {FlatSymbolRefAttr::get(context, name)});
  if (kernels.lookupSymbol(name))
    return symbol;
  OpBuilder ops(context);
  ops.setInsertionPointToEnd(kernels.getBody());
  Location loc = module.getLoc();
  auto global = LLVM::LLVMPointerType::get(context, 1);
  auto generic = LLVM::LLVMPointerType::get(context);
  SmallVector<Type> types;
  for (Attribute parameter : launch.parameters)
    types.push_back(isa<PointerAttr>(parameter) ? Type(global)
                    : isa<MapAttr>(parameter)   ? Type(generic)
                                                : Type(ops.getI32Type()));
  auto function = LLVM::LLVMFuncOp::create(
      ops, loc, name,
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), types));
  for (auto [i, parameter] : llvm::enumerate(launch.parameters)) {
    if (!isa<MapAttr>(parameter))
      continue;
    // By value, and readable as it is by the copy engine.
    unsigned index = static_cast<unsigned>(i);
    function.setArgAttr(
        index, LLVM::LLVMDialect::getByValAttrName(),
        TypeAttr::get(LLVM::LLVMArrayType::get(ops.getI8Type(), 128)));
    function.setArgAttr(index, LLVM::LLVMDialect::getAlignAttrName(),
                        ops.getI64IntegerAttr(64));
    function.setArgAttr(index, NVVM::NVVMDialect::getGridConstantAttrName(),
                        ops.getUnitAttr());
  }
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                    ops.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                    ops.getUnitAttr());
  function->setAttr(
      NVVM::NVVMDialect::getReqntidAttrName(),
      ops.getDenseI32ArrayAttr({static_cast<int32_t>(launch.threads), 1, 1}));
  // With the block's size this is the register cap that setmaxnreg needs.
  function->setAttr(
      NVVM::NVVMDialect::getMinctasmAttrName(),
      ops.getI32IntegerAttr(static_cast<int32_t>(launch.together)));
  if (launch.cluster != 1)
    function->setAttr(
        NVVM::NVVMDialect::getClusterDimAttrName(),
        ops.getDenseI32ArrayAttr({static_cast<int32_t>(launch.cluster), 1, 1}));
  function->setAttr(kernelAttrName,
                    KernelAttr::get(context, launch.threads, launch.shared,
                                    launch.blocks, launch.resident, launch.grid,
                                    launch.parameters));
  Block *entry = function.addEntryBlock(ops);
  ops.setInsertionPointToStart(entry);
  DeviceBuilder builder(ops, loc);
  if (launch.overlap == Overlap::AtOnce)
    builder.letNextKernelStart();
  if (launch.overlap == Overlap::FewBlocks)
    builder.when(builder.blocks() < multiprocessors + 1,
                 [&] { builder.letNextKernelStart(); });
  if (!launch.waits)
    builder.waitForEarlierKernels();
  body(builder, entry->getArguments());
  LLVM::ReturnOp::create(ops, loc, ValueRange());
  return symbol;
}

std::string elementName(Type element) {
  return element.isBF16() ? "bf16" : element.isF16() ? "f16" : "f32";
}

std::string bitsName(double number) {
  return llvm::utohexstr(llvm::bit_cast<uint32_t>(static_cast<float>(number)),
                         /*LowerCase=*/true);
}

} // namespace rshard::cuda
