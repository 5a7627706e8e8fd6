//===- NCCLToLLVM.cpp - messages as calls of NCCL -------------------------===//

#include "NCCL/NCCL.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Func/Transforms/FuncConversions.h"
#include "mlir/Dialect/LLVMIR/FunctionCallUtils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Transforms/DialectConversion.h"
#include "rshard/Conversion/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace rshard {
#define GEN_PASS_DEF_CONVERTNCCLTOLLVM
#include "rshard/Conversion/Passes.h.inc"
} // namespace rshard

using namespace mlir;
using namespace rshard;

/// ncclDataType_t of nccl.h; nothing for a type that NCCL does not move.
static std::optional<int32_t> getDataType(Type element) {
  return llvm::TypeSwitch<Type, std::optional<int32_t>>(element)
      .Case([](IntegerType type) -> std::optional<int32_t> {
        switch (type.getWidth()) {
        case 8:
          return 0;
        case 32:
          return 2;
        case 64:
          return 4;
        default:
          return std::nullopt;
        }
      })
      .Case([](Float16Type) { return 6; })
      .Case([](Float32Type) { return 7; })
      .Case([](Float64Type) { return 8; })
      .Case([](BFloat16Type) { return 9; })
      .Default(std::nullopt);
}

/// Calls `name`, which returns ncclResult_t, and declares it if need be.
static LogicalResult createCall(OpBuilder &builder, Operation *op,
                                StringRef name, ValueRange operands) {
  auto module = op->getParentOfType<ModuleOp>();
  FailureOr<LLVM::LLVMFuncOp> callee = LLVM::lookupOrCreateFn(
      builder, module, name, SmallVector<Type>(operands.getTypes()),
      builder.getI32Type());
  if (failed(callee)) // declared with another type: the error names both
    return failure();
  LLVM::CallOp::create(builder, op->getLoc(), *callee, operands);
  return success();
}

/// !nccl.comm and !nccl.stream are !llvm.ptr.
static void addHandleConversions(TypeConverter &converter) {
  auto toPointer = [](Type type) -> Type {
    return LLVM::LLVMPointerType::get(type.getContext());
  };
  converter.addConversion([=](nccl::CommType type) { return toPointer(type); });
  converter.addConversion(
      [=](nccl::StreamType type) { return toPointer(type); });
}

namespace {

struct GroupLowering : ConvertOpToLLVMPattern<nccl::GroupOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;

  LogicalResult
  matchAndRewrite(nccl::GroupOp op, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (failed(createCall(rewriter, op, "ncclGroupStart", {})))
      return failure();
    rewriter.setInsertionPointAfter(op);
    if (failed(createCall(rewriter, op, "ncclGroupEnd", {})))
      return failure();
    rewriter.inlineBlockBefore(&op.getBody().front(), op);
    rewriter.eraseOp(op);
    return success();
  }
};

template <typename OpT> struct MessageLowering : ConvertOpToLLVMPattern<OpT> {
  MessageLowering(const LLVMTypeConverter &converter, StringRef callee)
      : ConvertOpToLLVMPattern<OpT>(converter), callee(callee) {}

  LogicalResult
  matchAndRewrite(OpT op, typename OpT::Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    MemRefType type = op.getBuffer().getType();
    std::optional<int32_t> dataType = getDataType(type.getElementType());
    if (!dataType)
      return rewriter.notifyMatchFailure(op, "NCCL has no such type");
    MemRefDescriptor buffer(adaptor.getBuffer());
    Value data =
        buffer.bufferPtr(rewriter, loc, *this->getTypeConverter(), type);
    // The first dimension alone may be dynamic: the verifier saw to it.
    int64_t width = 1;
    for (int64_t size : type.getShape())
      width *= ShapedType::isDynamic(size) ? 1 : size;
    Type indexType = this->getIndexType();
    Value count = LLVM::ConstantOp::create(rewriter, loc, indexType, width);
    if (!type.hasStaticShape())
      count = LLVM::MulOp::create(rewriter, loc, count,
                                  buffer.size(rewriter, loc, 0));
    Type i32 = rewriter.getI32Type();
    Value element = LLVM::ConstantOp::create(rewriter, loc, i32, *dataType);
    Value peer = LLVM::TruncOp::create(rewriter, loc, i32, adaptor.getPeer());
    if (failed(createCall(rewriter, op, callee,
                          {data, count, element, peer, adaptor.getComm(),
                           adaptor.getStream()})))
      return failure();
    rewriter.eraseOp(op);
    return success();
  }

  StringRef callee;
};

struct ConvertNCCLToLLVM
    : rshard::impl::ConvertNCCLToLLVMBase<ConvertNCCLToLLVM> {
  void runOnOperation() override {
    getOperation().walk([&](Operation *op) {
      numGroups += isa<nccl::GroupOp>(op);
      numMessages += isa<nccl::SendOp, nccl::RecvOp>(op);
    });
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    LLVMTypeConverter converter(context);
    addHandleConversions(converter);
    patterns.add<GroupLowering>(converter);
    patterns.add<MessageLowering<nccl::SendOp>>(converter, "ncclSend");
    patterns.add<MessageLowering<nccl::RecvOp>>(converter, "ncclRecv");

    // Functions keep their buffers: only communicators and streams change.
    TypeConverter handles;
    handles.addConversion([](Type type) { return type; });
    addHandleConversions(handles);
    populateFunctionOpInterfaceTypeConversionPattern<func::FuncOp>(patterns,
                                                                   handles);
    populateCallOpTypeConversionPattern(patterns, handles);
    populateReturnOpTypeConversionPattern(patterns, handles);

    ConversionTarget target(*context);
    target.addIllegalDialect<nccl::NCCLDialect>();
    target.addDynamicallyLegalOp<func::FuncOp>([&](func::FuncOp op) {
      return handles.isSignatureLegal(op.getFunctionType());
    });
    target.addDynamicallyLegalOp<func::CallOp, func::ReturnOp>(
        [&](Operation *op) { return handles.isLegal(op); });
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
