//===- BuildManifest.h - what an artifact says about itself -----*- C++ -*-===//

#ifndef RSHARD_TARGET_ARTIFACT_BUILDMANIFEST_H
#define RSHARD_TARGET_ARTIFACT_BUILDMANIFEST_H

#include "rshard/Target/CPU/CompileForCpu.h"
#include "rshard/runtime/Manifest.h"
#include "mlir/IR/BuiltinOps.h"

namespace rshard {

/// Collects what the runtime must know about a program: `scheduled` is the module of the scheduled phase, `object` its
/// host code, `partitionedText` the partitioned phase as text, whose hash identifies the program apart from the target
/// (C10). Emits an error if the module is not of the scheduled phase.
mlir::FailureOr<runtime::Manifest> buildManifest(mlir::ModuleOp scheduled, const cpu::HostObject &object,
                                                 llvm::StringRef partitionedText);

} // namespace rshard

#endif // RSHARD_TARGET_ARTIFACT_BUILDMANIFEST_H
