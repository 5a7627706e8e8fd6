//===- HostCode.h - from the kernels phase to host code ----------*- C++-*-===//

#ifndef RSHARD_TARGET_HOST_HOSTCODE_H
#define RSHARD_TARGET_HOST_HOSTCODE_H

#include "rshard/Target/Host/SharedObject.h"

namespace rshard {

/// Lowers the driver of `module` and everything that it calls, and emits it:
/// an ELF shared object that exports rshard_step. The module holds no segment
/// and no row operation any more; it is consumed. Errors are diagnostics.
mlir::FailureOr<llvm::SmallVector<char, 0>>
compileHostCode(mlir::ModuleOp module, const HostCpu &cpu,
                const SharedObjectOptions &options = {});

} // namespace rshard

#endif // RSHARD_TARGET_HOST_HOSTCODE_H
