//===- Register.h - everything a tool needs to know about ------*- C++ -*-===//

#ifndef RSHARD_REGISTER_H
#define RSHARD_REGISTER_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace rshard {

/// Adds the project's dialects and the upstream dialects that its phases use.
void registerDialects(mlir::DialectRegistry &registry);

/// Adds the project's passes and pipelines, and of upstream's canonicalize,
/// cse, inline, symbol-dce, convert-scf-to-cf, convert-to-llvm and
/// reconcile-unrealized-casts.
void registerPasses();

} // namespace rshard

#endif // RSHARD_REGISTER_H
