//===- TargetShape.h - what the kernels know about a CPU --------*- C++ -*-===//
//
// A CPU is named by the user ("native", "x86-64-v3", ...). The compiler reduces
// it to a list of features that the code may use and to the tile sizes that
// suit them. Both go into the artifact, so they are a function of the name
// alone and never of the number of threads or cores.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TARGET_CPU_TARGETSHAPE_H
#define RSHARD_TARGET_CPU_TARGETSHAPE_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <cstdint>
#include <string>
#include <vector>

namespace mlir {
class InFlightDiagnostic;
}

namespace rshard::cpu {

/// Tile sizes of the generated kernels, in elements.
struct TargetShape {
  /// f32 lanes of one register.
  int64_t lanes = 16;
  /// Columns of one packed weight panel: linear weights are stored as
  /// [ceil(N / panel)][K][panel].
  int64_t panel = 64;
  /// Rows whose accumulators of one panel stay in registers.
  int64_t rows = 6;
  /// Depth of one block of K, so that a block of a panel stays in the cache.
  int64_t depth = 512;
  /// Rows that one task of a linear kernel computes.
  int64_t rowBlock = 48;
  /// Keys that attention handles at a time.
  int64_t keys = 64;
};

/// A CPU as the code generator sees it.
struct CpuTarget {
  /// The name to tune for, "native" already resolved.
  std::string name;
  /// Every feature beyond plain x86-64 that the code may use, sorted. The
  /// runtime refuses a machine that lacks one.
  std::vector<std::string> features;
  TargetShape shape;

  /// The features in LLVM's form: "+avx2,+fma,...".
  std::string featureString() const;

  /// Looks up `name`. Reports through `emitError` and fails if LLVM does not
  /// know it, or if it lacks AVX2 or FMA, without which the kernels' explicit
  /// fused multiply-adds would be calls of a library.
  static mlir::FailureOr<CpuTarget>
  get(llvm::StringRef name,
      llvm::function_ref<mlir::InFlightDiagnostic()> emitError);
};

} // namespace rshard::cpu

#endif // RSHARD_TARGET_CPU_TARGETSHAPE_H
