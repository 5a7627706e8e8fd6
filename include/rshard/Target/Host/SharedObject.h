//===- SharedObject.h - from LLVM dialect to an ELF shared object -*- C++
//-*-===//

#ifndef RSHARD_TARGET_HOST_SHAREDOBJECT_H
#define RSHARD_TARGET_HOST_SHAREDOBJECT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"
#include "rshard/Target/Host/HostCpu.h"

namespace rshard {

struct SharedObjectOptions {
  /// Instrument the code with LLVM's address sanitizer. The object then imports
  /// the sanitizer's functions from the process that loads it.
  bool addressSanitizer = false;
};

/// Compiles `module`, which holds nothing but the LLVM dialect (the result of
/// the pipeline rshard-host-lower), in process and returns the bytes of an ELF
/// shared object without dependencies. Public functions are exported, private
/// ones are not. The bytes are a function of module, CPU and options (C9).
///
/// Fails with a diagnostic on `module` if translation, code generation or
/// linking fails, or if the code would import anything but memcpy,
/// memmove and memset: what it calls of the runtime stands in its table
/// (rshard-bind-imports).
///
/// Linking calls lld, which resets every llvm::cl option of the process to its
/// default: a tool that uses them must have read them before.
mlir::FailureOr<llvm::SmallVector<char, 0>>
emitSharedObject(mlir::ModuleOp module, const HostCpu &cpu,
                 const SharedObjectOptions &options = {});

} // namespace rshard

#endif // RSHARD_TARGET_HOST_SHAREDOBJECT_H
