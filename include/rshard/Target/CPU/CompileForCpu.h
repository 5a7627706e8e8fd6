//===- CompileForCpu.h - from the scheduled phase to host code ---*- C++
//-*-===//

#ifndef RSHARD_TARGET_CPU_COMPILEFORCPU_H
#define RSHARD_TARGET_CPU_COMPILEFORCPU_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"
#include <cstdint>
#include <string>
#include <vector>

namespace rshard::cpu {

struct CpuOptions {
  /// A CPU's name as LLVM knows it, or "native".
  std::string cpu = "native";
  /// Instrument the code with LLVM's address sanitizer.
  bool addressSanitizer = false;
};

/// A range of the frame's weight slots: one slot for each layer that has the
/// weight, or a single one.
struct WeightSlots {
  std::string weight; ///< symbol of the rshard.weight
  std::string pack;   ///< "panel:<columns>:f32|bf16", "vector", "rows:f32|bf16"
  int64_t first = 0;
  int64_t count = 1;
};

/// A buffer of the frame; its index is its place in the list.
struct BufferSlot {
  std::string name, rows, type;
  int64_t width = 0;
};

/// Generated host code and what the runtime must know to call it.
struct HostObject {
  llvm::SmallVector<char, 0> code; ///< an ELF shared object: rshard_step
  std::string cpu;
  std::vector<std::string> features;
  std::vector<WeightSlots> weights;
  std::vector<BufferSlot> buffers;
  std::vector<std::string> tables; ///< names in index order
};

/// Compiles a scheduled module, which is left as it is. Errors are diagnostics.
mlir::FailureOr<HostObject> compileForCpu(mlir::ModuleOp scheduled,
                                          const CpuOptions &options);

} // namespace rshard::cpu

#endif // RSHARD_TARGET_CPU_COMPILEFORCPU_H
