//===- ManifestBuilder.h - what an artifact says about itself ---*- C++ -*-===//

#ifndef RSHARD_LIB_DRIVER_MANIFESTBUILDER_H
#define RSHARD_LIB_DRIVER_MANIFESTBUILDER_H

#include "mlir/IR/BuiltinOps.h"
#include "rshard/Target/CPU/CompileForCpu.h"
#include "rshard/runtime/Manifest.h"

namespace rshard {

/// What the runtime must know about a scheduled module whose code is `host`.
/// `partitioned` is the text of the partitioned phase, whose hash identifies
/// the program apart from the target (C10). Emits an error if the module is not
/// of the scheduled phase.
mlir::FailureOr<runtime::Manifest> buildManifest(mlir::ModuleOp scheduled,
                                                 const cpu::HostObject &host,
                                                 llvm::StringRef partitioned);

} // namespace rshard

#endif // RSHARD_LIB_DRIVER_MANIFESTBUILDER_H
