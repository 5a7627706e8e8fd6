//===- NCCLToLLVM.h - messages as calls of NCCL ------------------*- C++
//-*-===//

#ifndef RSHARD_CONVERSION_NCCLTOLLVM_H
#define RSHARD_CONVERSION_NCCLTOLLVM_H

namespace mlir {
class LLVMTypeConverter;
class RewritePatternSet;
class TypeConverter;
} // namespace mlir

namespace rshard {

/// Maps !nccl.comm and !nccl.stream to !llvm.ptr.
void populateNCCLToLLVMTypeConversions(mlir::TypeConverter &converter);

/// Patterns that turn the ops of the nccl dialect into calls. `converter` must
/// hold the conversions above. Declares ncclGroupStart, ncclGroupEnd, ncclSend
/// and ncclRecv in the enclosing module as they are needed.
void populateNCCLToLLVMConversionPatterns(
    const mlir::LLVMTypeConverter &converter,
    mlir::RewritePatternSet &patterns);

} // namespace rshard

#endif // RSHARD_CONVERSION_NCCLTOLLVM_H
