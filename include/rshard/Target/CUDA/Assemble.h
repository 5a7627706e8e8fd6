//===- Assemble.h - from a gpu.module to PTX and a cubin ---------*- C++
//-*-===//

#ifndef RSHARD_TARGET_CUDA_ASSEMBLE_H
#define RSHARD_TARGET_CUDA_ASSEMBLE_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Support/LLVM.h"
#include "rshard/Target/CUDA/Chip.h"
#include <string>

namespace rshard::cuda {

/// What one kernel uses, as the assembler reports it.
struct KernelUse {
  std::string name;
  int64_t registers = 0;
};

struct DeviceCode {
  std::string ptx;
  llvm::SmallVector<char, 0> cubin;
  std::vector<KernelUse> kernels; ///< in the order of their names
};

/// The path of ptxas: `path` if it is not empty, else that of $CUDA_HOME/bin,
/// PATH or /usr/local/cuda/bin. An error says where it was looked for, a
/// warning that CUDA_HOME is set and has none.
mlir::FailureOr<std::string> findAssembler(llvm::StringRef path,
                                           mlir::Location loc);

/// Writes the kernels' PTX. The module is left as it is.
mlir::FailureOr<std::string> emitPTX(mlir::gpu::GPUModuleOp kernels);

/// Assembles the kernels with ptxas. What an expert would reject fails here
/// with the kernel's name and the assembler's words: spilled registers, a stack
/// frame, serialised wgmma (C75xx).
mlir::FailureOr<DeviceCode> assemble(mlir::gpu::GPUModuleOp kernels,
                                     llvm::StringRef assembler);

} // namespace rshard::cuda

#endif // RSHARD_TARGET_CUDA_ASSEMBLE_H
