//===- HostCpu.h - the CPU that runs a rank's driver -------------*- C++-*-===//
//
// A CPU is named by the user ("native", "x86-64-v3", ...). The compiler reduces
// it to a list of features that the code may use, which goes into the artifact:
// it is a function of the name alone and never of the number of cores.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TARGET_HOST_HOSTCPU_H
#define RSHARD_TARGET_HOST_HOSTCPU_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <cstdint>
#include <string>
#include <vector>

namespace mlir {
class InFlightDiagnostic;
}

namespace rshard {

struct HostCpu {
  /// The name to tune for, "native" already resolved.
  std::string name;
  /// Every feature beyond plain x86-64 that the code may use, sorted. The
  /// runtime refuses a machine that lacks one.
  std::vector<std::string> features;
  /// Width of the vector registers that these features give.
  int64_t vectorBits = 512;

  /// The features in LLVM's form: "+avx2,+fma,...".
  std::string featureString() const;

  /// Looks up `name`. Reports through `emitError` and fails if LLVM does not
  /// know it, or if it lacks AVX2 or FMA, without which explicit fused
  /// multiply-adds would be calls of a library.
  static mlir::FailureOr<HostCpu>
  get(llvm::StringRef name,
      llvm::function_ref<mlir::InFlightDiagnostic()> emitError);
};

} // namespace rshard

#endif // RSHARD_TARGET_HOST_HOSTCPU_H
