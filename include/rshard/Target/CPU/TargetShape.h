//===- TargetShape.h - tile sizes of the CPU kernels ------------*- C++ -*-===//
//
// Tile sizes go into the artifact, so they are a function of the CPU's features
// alone and never of the number of threads or cores (C9).
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_TARGET_CPU_TARGETSHAPE_H
#define RSHARD_TARGET_CPU_TARGETSHAPE_H

#include "rshard/Target/Host/HostCpu.h"

namespace rshard::cpu {

/// Tile sizes of the generated kernels, in elements.
struct TargetShape {
  /// The tiles of plain AVX-512 code, or those that suit fewer registers.
  explicit TargetShape(const HostCpu &cpu) : lanes(cpu.vectorBits / 32) {
    // 16 registers of 8 lanes: 6 rows of 2 registers, 2 for the weights.
    if (lanes == 8)
      panel = 16;
  }

  /// f32 lanes of one register.
  int64_t lanes;
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

} // namespace rshard::cpu

#endif // RSHARD_TARGET_CPU_TARGETSHAPE_H
