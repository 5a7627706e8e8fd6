//===- ManifestBuilder.h - what an artifact says about itself ---*- C++ -*-===//

#ifndef RSHARD_LIB_DRIVER_MANIFESTBUILDER_H
#define RSHARD_LIB_DRIVER_MANIFESTBUILDER_H

#include "mlir/IR/BuiltinOps.h"
#include "rshard/Target/Host/HostCpu.h"
#include "rshard/runtime/Manifest.h"

namespace rshard {

/// What the runtime must know about a program: `scheduled` shows the model,
/// `kernels`, made of it by a target, what the frame holds for code that runs
/// on `cpu`. `partitioned` is the text of the partitioned phase, whose hash
/// identifies the program apart from the target (C10). Emits an error if
/// `scheduled` is not of its phase or a buffer is of no type or capacity class
/// that the runtime has.
mlir::FailureOr<runtime::Manifest> buildManifest(mlir::ModuleOp scheduled,
                                                 mlir::ModuleOp kernels,
                                                 const HostCpu &cpu,
                                                 llvm::StringRef partitioned);

} // namespace rshard

#endif // RSHARD_LIB_DRIVER_MANIFESTBUILDER_H
